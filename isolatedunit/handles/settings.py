"""What belongs to the process as a whole and is no attribute of any object: read, compared, and put back."""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

ABSENT = type("Absent", (), {})()
"""Stands for what is not there."""


class Setting:
    """One setting as it is now: *get* reads it, *put* sets it. *owner* is the expression that reads it, for people."""

    def __init__(
        self, kind: str, where: str, get: Callable[[], Any], put: Callable[[Any], Any], owner: str = ""
    ) -> None:
        self.kind = kind
        self.where = where
        self.get = get
        self.owner = owner
        self._put = put
        self.before = get()

    def put_back(self) -> None:
        """Set it to what it was."""
        self._put(self.before)

    @staticmethod
    def show(value: Any) -> str:
        """A short text for a value."""
        if type(value) is tuple:
            return "state"
        if type(value) in (bool, int, float, str, type(None)):
            return repr(value)
        return f"{type(value).__qualname__}"


def settings_of_process() -> list[Setting]:
    """All settings of this process; of what no module is loaded for, there is none."""
    found = [Setting("directory", "current directory", _directory, os.chdir)]
    found.append(Setting("umask", "umask", _umask, os.umask))
    for module, kind, where, get, put in (
        ("random", "random", "random", "getstate", "setstate"),
        ("numpy.random", "random", "numpy.random", "get_state", "set_state"),
        ("socket", "socket", "default timeout of sockets", "getdefaulttimeout", "setdefaulttimeout"),
        ("decimal", "decimal", "decimal context", "getcontext", "setcontext"),
        ("sys", "recursion", "recursion limit", "getrecursionlimit", "setrecursionlimit"),
        ("sys", "switch interval", "switch interval", "getswitchinterval", "setswitchinterval"),
        ("sys", "digits", "most digits of an int as text", "get_int_max_str_digits", "set_int_max_str_digits"),
    ):
        loaded: Any = sys.modules.get(module)
        if hasattr(loaded, get):
            read = getattr(loaded, get)
            write = getattr(loaded, put)
            if kind == "decimal":
                read, write = (lambda read=read: _plain_context(read())), _put_context
            found.append(Setting(kind, where, _comparable(read) if module == "numpy.random" else read, write))
    logging: Any = sys.modules.get("logging")
    if hasattr(logging, "root"):
        found.append(Setting("logging", "logging.disable", lambda: logging.root.manager.disable, logging.disable))
    locale: Any = sys.modules.get("_locale")
    if locale is not None:
        found.append(
            Setting(
                "locale",
                "locale",
                lambda: locale.setlocale(locale.LC_ALL),
                lambda v: locale.setlocale(locale.LC_ALL, v),
            )
        )
    return [*found, *_garbage_collector(), *_time_zone(), *_signals()]


def _garbage_collector() -> list[Setting]:
    def enable(value: bool) -> None:
        (gc.enable if value else gc.disable)()

    found = [Setting("garbage collector", "garbage collector enabled", gc.isenabled, enable)]
    return [*found, Setting("thresholds", "thresholds of gc", gc.get_threshold, lambda value: gc.set_threshold(*value))]


def _time_zone() -> list[Setting]:
    """The time zone that the C library uses, which a change of TZ alone does not set."""
    module: Any = sys.modules.get("time")
    if not hasattr(module, "tzset"):
        return []
    variable = os.environ.get("TZ")

    def put(_: Any) -> None:
        os.environ.pop("TZ", None)
        if variable is not None:
            os.environ["TZ"] = variable
        module.tzset()

    return [Setting("time zone", "time zone", lambda: (*module.tzname, module.timezone), put)]


def _signals() -> list[Setting]:
    signal: Any = sys.modules.get("_signal")
    found = []
    for name in ("SIGINT", "SIGTERM", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGHUP", "SIGCHLD", "SIGPIPE"):
        number = getattr(signal, name, None)
        if number is not None:

            def get(number: int = number) -> Any:
                return signal.getsignal(number)

            def put(value: Any, number: int = number) -> Any:
                return signal.signal(number, value)

            found.append(Setting("signal", name, get, put))
    return found


def _directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return None


def _umask() -> int:
    before = os.umask(0o077)  # trap: it can only be read by setting it
    os.umask(before)
    return before


def _plain_context(context: Any) -> Any:
    """What a context of decimal is set to, as a tuple: contexts are changed in place, and none is equal to another.

    Its flags are no setting: they say which conditions calculations have met.
    """
    numbers = (context.prec, context.rounding, context.Emin, context.Emax, context.capitals, context.clamp)
    return *numbers, tuple(signal for signal, is_set in context.traps.items() if is_set)


def _put_context(value: Any) -> None:
    decimal: Any = sys.modules["decimal"]
    *numbers, traps = value
    decimal.setcontext(decimal.Context(*numbers, flags=[], traps=list(traps)))


def _comparable(read: Callable[[], Any]) -> Callable[[], Any]:
    """What reads numpy's state with its array as a tuple, which can be compared."""
    return lambda: tuple(tuple(part) if hasattr(part, "tolist") else part for part in read())
