"""Finds what a test changed in its process and did not restore. That is no leak: nothing is left open."""

from __future__ import annotations

import os
import sys

from isolatedunit.model.variables import SLOT_VARIABLE
from isolatedunit.system.secrets import is_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

try:
    import _locale
except ImportError:
    _locale = None  # type: ignore[assignment]

MAX_TEXT = 200
_NOT_THE_TESTS = {form for name in ("PYTEST_CURRENT_TEST", SLOT_VARIABLE) for form in (name, name.encode())}
_signal: Any = sys.modules.get("_signal")  # unittest imported it; `signal` would make an enum member of each number
_getcwd = os.getcwd
_umask: Callable[[int], int] | None = getattr(os, "umask", None)  # WASI has none
_STANDARD = sys.stdlib_module_names | {"isolatedunit", "__main__"}
_SIGNALS = range(1, getattr(_signal, "NSIG", 1))
_RANDOM_WORDS = 624  # the size of the Mersenne Twister's state, which it renews as a whole
_RANDOM_BLOCKS = 32  # how many renewals of the state are followed to recognise drawing


class State:
    """The state of this process at one moment.

    In a new process made for one test, the modules of the standard library are assumed not to change:
    looking at each would make a fork copy most of the memory pages that it shares.
    """

    def __init__(self, *, is_new_process: bool = False) -> None:
        self.renew_surroundings()
        self.modules = {
            name: module for name, module in sys.modules.items() if not (is_new_process and _is_standard(name))
        }
        self.signals = _signal_handlers()
        self.locale = None if _locale is None else _locale.setlocale(_locale.LC_ALL)
        self.umask = _current_umask()
        self.filters = _warning_filters()
        self.handlers = _logging_handlers()
        self.loop = _current_loop()
        self.executor = getattr(self.loop, "_default_executor", None)
        self.random = _random_state()

    def renew_surroundings(self) -> None:
        """Record environment, current directory and ``sys.path``."""
        self._environ = os.environ
        self.environment: dict[Any, Any] = dict(getattr(os.environ, "_data", os.environ))
        self.directory = _current_directory()
        self.path = list(sys.path)

    def renew(self) -> None:
        """Record anew what changes without the test: the runner sets the warning filters, a fork reseeds `random`."""
        self.filters = _warning_filters()
        self.random = _random_state()

    def changes_since(self, *, environment_touched: bool) -> list[dict[str, str]]:
        """The changes from this state to the present one, each with ``kind``, ``what``, ``before`` and ``after``.

        *environment_touched* is False if no variable was set since: comparing them all makes a fork copy pages.
        """
        return [
            {"kind": kind, "what": what, "before": before, "after": after}
            for kind, what, before, after in self._compare(environment_touched)
        ]

    def _compare(self, environment_touched: bool) -> Iterator[tuple[str, str, str, str]]:
        if environment_touched or os.environ is not self._environ:
            yield from self._compare_environment()
        yield from self._compare_process()
        yield from self._compare_interpreter()

    def _compare_process(self) -> Iterator[tuple[str, str, str, str]]:
        directory = _current_directory()
        if directory != self.directory:
            yield "directory", "current directory", str(self.directory), str(directory)
        if (umask := _current_umask()) != self.umask:
            yield "umask", "umask", f"{self.umask:#05o}", f"{umask:#05o}"
        if _locale is not None and (locale := _locale.setlocale(_locale.LC_ALL)) != self.locale:
            yield "locale", "locale", str(self.locale), locale
        for number, (before, after) in enumerate(zip(self.signals, _signal_handlers(), strict=False)):
            if before is not after and before != after:
                yield "signal", _name_signal(_SIGNALS[number]), _show(before), _show(after)

    def _compare_interpreter(self) -> Iterator[tuple[str, str, str, str]]:
        if sys.path != self.path:
            yield "path", "sys.path", _show(self.path), _show(sys.path)
        modules = sys.modules
        for name, module in self.modules.items():
            now = modules.get(name, module)
            if now is not module and isinstance(name, str) and not name.startswith("__"):
                yield "module", name, _show(module), _show(now)
        filters = _warning_filters()
        if filters != self.filters:
            yield "warnings", "warnings.filters", f"{len(self.filters)} filters", _show(filters)
        handlers = _logging_handlers()
        for logger, kept in handlers.items():
            # a new logger is no change, nor are the handlers that a library adds to its own logger
            if kept != self.handlers.get(logger, () if logger == "root" else kept):
                yield "logging", logger, _show(list(self.handlers.get(logger, ()))), _show(list(kept))
        if self.loop is not None and not self.loop.is_closed():
            executor = self.loop._default_executor
            if executor is not self.executor and not getattr(executor, "_shutdown", False):
                yield "executor", "default executor of the event loop", _show(self.executor), _show(executor)
        if _drawn_without_seed(self.random, _random_state()):
            yield "random", "random", "as at the start of the process", "used without a seed"

    def _compare_environment(self) -> Iterator[tuple[str, str, str, str]]:
        now: Any = getattr(os.environ, "_data", os.environ)
        if now == self.environment:
            return
        for name in [*self.environment, *(name for name in now if name not in self.environment)]:
            before, after = self.environment.get(name), now.get(name)
            if before != after and name not in _NOT_THE_TESTS:
                shown = os.fsdecode(name)
                yield "environment", shown, _show_variable(shown, before), _show_variable(shown, after)


def _is_standard(name: object) -> bool:
    return not isinstance(name, str) or name.partition(".")[0] in _STANDARD


def _current_directory() -> str | None:
    try:
        return _getcwd()
    except OSError:  # the directory was removed
        return None


def _current_umask() -> int:
    if _umask is None:
        return 0
    # trap: the umask can only be read by setting it; the value for that moment is the strictest one
    before = _umask(0o077)
    if before != 0o077:
        _umask(before)
    return before


def _signal_handlers() -> list[Any]:
    handlers: list[Any] = []
    if _signal is not None:
        getsignal = _signal.getsignal
        for number in _SIGNALS:
            try:
                handlers.append(getsignal(number))
            except ValueError:  # Windows has only a few signals
                handlers.append(None)
    return handlers


def _name_signal(number: int) -> str:
    try:
        return str(sys.modules["signal"].Signals(number).name)
    except (KeyError, ValueError, AttributeError):
        return f"signal {number}"


def _warning_filters() -> list[Any]:
    return list(getattr(sys.modules.get("warnings"), "filters", ()))


def _logging_handlers() -> dict[str, tuple[Any, ...]]:
    logging = sys.modules.get("logging")
    root = getattr(logging, "root", None)
    if root is None:
        return {}
    found = {"root": tuple(root.handlers)}
    for name, logger in list(root.manager.loggerDict.items()):
        handlers = getattr(logger, "handlers", None)
        if handlers is not None:
            found[name] = tuple(handlers)
    return found


def _current_loop() -> Any:
    """The current asyncio event loop of this thread, or None. Looking creates none."""
    policy = getattr(sys.modules.get("asyncio.events"), "_event_loop_policy", None)
    loop = getattr(getattr(policy, "_local", None), "_loop", None)
    return loop if hasattr(loop, "_default_executor") else None  # other implementations keep their executor elsewhere


def _random_state() -> Any:
    generator = getattr(sys.modules.get("random"), "_inst", None)
    return None if generator is None else generator.getstate()


def _drawn_without_seed(before: Any, after: Any) -> bool:
    """Whether *after* follows from *before* by drawing numbers alone, without seeding in between.

    Drawing changes the generator's state block by block, in a fixed sequence, which is followed for some
    thousand numbers. Trap: in a process shared by several tests, a test that repeats the seed of the test
    before it and then draws more numbers looks exactly like one that only goes on drawing.
    """
    if before is None or after is None or before == after:
        return False
    if before[1][:_RANDOM_WORDS] == after[1][:_RANDOM_WORDS]:
        return bool(before[1][_RANDOM_WORDS] <= after[1][_RANDOM_WORDS])  # else an earlier state was restored
    generator = type(sys.modules["random"]._inst)()
    generator.setstate(before)
    words = after[1][:_RANDOM_WORDS]
    for _ in range(_RANDOM_BLOCKS):
        generator.getrandbits(32 * _RANDOM_WORDS)
        if generator.getstate()[1][:_RANDOM_WORDS] == words:
            return True
    return False


def _show(thing: object) -> str:
    try:
        text = repr(thing)
    except Exception:
        text = f"<{type(thing).__name__}>"
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."


def _show_variable(name: str, value: Any) -> str:
    if value is None:
        return "(not set)"
    if is_secret(name):
        return "(hidden)"  # a report may be published: it must not contain a secret
    text = os.fsdecode(value)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."
