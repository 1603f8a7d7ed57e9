"""Writes the line that undoes a change: pure functions of what was found."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_BY_SETTING: dict[str, tuple[str, str]] = {
    "directory": ("os", "self.addCleanup(os.chdir, os.getcwd())"),
    "random": ("random", "self.addCleanup(random.setstate, random.getstate())"),
    "logging": ("logging", "self.addCleanup(logging.disable, logging.root.manager.disable)"),
    "locale": ("locale", "self.addCleanup(locale.setlocale, locale.LC_ALL, locale.setlocale(locale.LC_ALL))"),
    "socket": ("socket", "self.addCleanup(socket.setdefaulttimeout, socket.getdefaulttimeout())"),
    "recursion": ("sys", "self.addCleanup(sys.setrecursionlimit, sys.getrecursionlimit())"),
    "switch interval": ("sys", "self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())"),
    "digits": ("sys", "self.addCleanup(sys.set_int_max_str_digits, sys.get_int_max_str_digits())"),
    "garbage collector": ("gc", "self.addCleanup(gc.enable if gc.isenabled() else gc.disable)"),
    "thresholds": ("gc", "self.addCleanup(gc.set_threshold, *gc.get_threshold())"),
    "decimal": ("decimal", "self.addCleanup(decimal.setcontext, decimal.getcontext().copy())"),
    "umask": ("os", "self.addCleanup(os.umask, os.umask(0o022))"),
}

_CAN_BE_WRITTEN = re.compile(r"[A-Za-z_][\w.]*(\[('[^'\\]*'|\"[^\"\\]*\"|\d+)\]|\.\w+)*")
_ATTRIBUTES = ("module attribute", "class attribute", "instance attribute", "function attribute")


def line_for(change: Mapping[str, str]) -> str | None:
    """The code that, at the beginning of the method that makes a change, has it undone; None if there is no such line.

    The modules that it needs are imported first, on the same line.
    """
    kind, owner, name, before = (change[key] for key in ("kind", "owner", "name", "before"))
    if kind == "signal":
        where = change["where"]
        text = f"self.addCleanup(signal.signal, signal.{where}, signal.getsignal(signal.{where}))"
        return f"import signal; {text}"
    if kind in _BY_SETTING and change["where"] != "numpy.random":
        module, text = _BY_SETTING[kind]
        return f"import {module}; {text}"
    if kind not in _WRITERS or not _CAN_BE_WRITTEN.fullmatch(owner):
        return None
    return f"import {change['module']}; self.addCleanup({_WRITERS[kind](owner, name, before == 'absent')})"


def import_for(change: Mapping[str, str]) -> str | None:
    """The import that a test lacks which only passes after this change; None if no import makes it."""
    if change["before"] != "absent" or change["after"] != "module":
        return None
    name = change["where"]
    return f"import {name}" if re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name) else None


def _undo_attribute(owner: str, name: str, was_absent: bool) -> str:
    return f"delattr, {owner}, {name!r}" if was_absent else f"setattr, {owner}, {name!r}, {owner}.{name}"


def _undo_item(owner: str, name: str, was_absent: bool) -> str:
    return f"{owner}.pop, {name}, None" if was_absent else f"{owner}.__setitem__, {name}, {owner}[{name}]"


def _undo_variable(_owner: str, name: str, was_absent: bool) -> str:
    return _undo_item("os.environ", repr(name), was_absent)


def _undo_contents(owner: str, name: str, _was_absent: bool) -> str:
    if name == "list":
        return f"{owner}.__setitem__, slice(None), {owner}[:]"
    added = "update" if name == "set" else "extend"
    return f"lambda before={owner}.copy(): ({owner}.clear(), {owner}.{added}(before))"


def _undo_cache(owner: str, _name: str, _was_absent: bool) -> str:
    return f"{owner}.cache_clear"


_WRITERS: dict[str, Callable[[str, str, bool], str]] = {
    **dict.fromkeys(_ATTRIBUTES, _undo_attribute),
    "dict entry": _undo_item,
    "module": _undo_item,
    "environment": _undo_variable,
    "contents": _undo_contents,
    "cache": _undo_cache,
}
