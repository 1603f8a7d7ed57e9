"""What the plugin uses of pytest and pluggy that is not public: all of it, and nothing else.

``tests/process/test_pytest_plugin.py`` has a test for each of these names. Where a version lacks one, isolation is
refused by name (`missing`) rather than done wrongly.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from typing import Any

import pytest

OUTCOMES = (Exception, pytest.skip.Exception, pytest.fail.Exception)
"""What a fixture may raise that is the outcome of a test."""


def missing(config: Any) -> list[str]:
    """The private names that this version of pytest or pluggy lacks."""
    lacking = []
    if not hasattr(config.hook.pytest_runtest_logreport, "_remove_plugin"):
        lacking.append("pluggy: HookCaller._remove_plugin")
    manager = config.pluginmanager.getplugin("capturemanager")
    if not hasattr(manager, "_global_capturing"):
        lacking.append("pytest: CaptureManager._global_capturing")
    for name, capture in _descriptor_captures(config):
        if not hasattr(capture, "tmpfile"):
            lacking.append(f"pytest: FDCapture.tmpfile ({name})")
    return lacking


def missing_for_scopes(session: Any, items: Iterable[Any]) -> list[str]:
    """The private names that this version lacks for setting up fixtures without a test."""
    lacking = []
    if not hasattr(session, "_setupstate") or not hasattr(session._setupstate, "stack"):
        lacking.append("pytest: SetupState.stack")
    for item in items:
        if hasattr(item, "fixturenames"):
            if not hasattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs"):
                lacking.append("pytest: Function._fixtureinfo.name2fixturedefs")
            lacking += [f"pytest: Function.{name}" for name in ("_request", "_initrequest") if not hasattr(item, name)]
            break
    return lacking


def set_up(session: Any, node: Any) -> None:
    """Set up *node*, and what is above it, as for a test below it; raises `OUTCOMES`."""
    session._setupstate.setup(node)


def tear_down(session: Any, node: Any) -> None:
    """Tear down all that is set up below *node*; None is for everything."""
    session._setupstate.teardown_exact(node)


def deepest_set_up(session: Any) -> Any:
    """The node for which fixtures are set up, outside of any test; None where there is none."""
    stack = list(session._setupstate.stack)
    return stack[-1] if stack else None


def count_finalizers(session: Any) -> dict[Any, int]:
    """How much there is to tear down of each node that is set up."""
    return {node: len(finalizers) for node, (finalizers, _) in session._setupstate.stack.items()}


def tear_down_since(session: Any, before: dict[Any, int]) -> None:
    """Tear down what was set up since `count_finalizers` returned *before*; raises the first of the `OUTCOMES`."""
    raised: list[BaseException] = []
    for node, (finalizers, _) in reversed(list(session._setupstate.stack.items())):
        while len(finalizers) > before.get(node, 0):
            try:
                finalizers.pop()()
            except OUTCOMES as exception:
                raised.append(exception)
    if raised:
        raise raised[0]


def no_fixtures() -> Any:
    """What pytest knows of the fixtures of a function that needs none."""
    from _pytest.fixtures import FuncFixtureInfo

    return FuncFixtureInfo((), (), [], {})


def fixture_names(item: Any) -> Iterable[str]:
    """The names of the fixtures that an item is known to need, those with higher scopes first."""
    return list(getattr(item, "fixturenames", ())) if getattr(item, "_request", None) is not None else ()


def fixture_of(item: Any, name: str) -> Any:
    """What pytest knows of the fixture with this name, as the item sees it; None for ``request``."""
    found = item._fixtureinfo.name2fixturedefs.get(name)
    return found[-1] if found else None


def parameters_of(item: Any) -> Iterable[str]:
    """The names of the fixtures and arguments that this item has a parameter for."""
    callspec = getattr(item, "callspec", None)
    return () if callspec is None else callspec.params


def fixture_value(item: Any, name: str) -> Any:
    """Set up a fixture whose scope is set up; raises `OUTCOMES`."""
    try:
        return item._request.getfixturevalue(name)
    finally:
        item._initrequest()  # it has noted that its fixture is there, which may have changed when the item runs


def finish_fixture(session: Any, fixture: Any) -> None:
    """Tear down one fixture, and what depends on it; raises `OUTCOMES`."""
    for finalizers, _ in session._setupstate.stack.values():
        for finalizer in finalizers:
            if getattr(getattr(finalizer, "func", None), "__self__", None) is fixture:
                finalizer()
                return


def listen_alone(config: Any, plugin: Any, hooks: tuple[str, ...]) -> None:
    """Have *plugin* be the only one that these hooks call, in this process.

    The terminal's reporter has to stay registered: it is who knows how wide assertions are explained.
    """
    for name in hooks:
        caller = getattr(config.hook, name)
        for implementation in list(caller.get_hookimpls()):
            caller._remove_plugin(implementation.plugin)
    config.pluginmanager.register(plugin)


def forget_warnings(config: Any) -> None:
    """Forget the warnings that were recorded: who registers for them now is not to hear of each again."""
    caller = config.hook.pytest_warning_recorded
    if getattr(caller, "_call_history", None):
        caller._call_history.clear()


def take_capture(config: Any, terminal: str | None = None) -> None:
    """Give this fork capture files of its own: two that wrote to one would cut off each other's output.

    They are the files that this process's standard output and error go to. pytest empties them as it reads what was
    captured, so what is left in them is what a crashed test has printed. What is written while pytest does not capture
    is for the terminal, as with ``capsys.disabled()``, and goes to the file *terminal*.
    """
    captures = _descriptor_captures(config)
    past = _open_new(terminal) if terminal is not None and captures else None
    for descriptor, capture in captures:
        own = _open_again(descriptor)
        os.dup2(own, capture.tmpfile.fileno())
        os.dup2(own if past is None else past, capture.targetfd_save)
        os.close(own)
    if past is not None:
        os.close(past)


def _open_new(path: str) -> int | None:
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError:  # in a sandbox, which has other directories
        return None


def _descriptor_captures(config: Any) -> list[tuple[int, Any]]:
    """What captures the descriptors 1 and 2; empty with ``-s`` and with ``--capture=sys``."""
    manager = config.pluginmanager.getplugin("capturemanager")
    capturing = getattr(manager, "_global_capturing", None)
    found = [(1, getattr(capturing, "out", None)), (2, getattr(capturing, "err", None))]
    return [(number, capture) for number, capture in found if hasattr(capture, "targetfd_save")]


def _open_again(descriptor: int) -> int:
    """Open the file of a descriptor that can only be written for reading, too; another file if that is impossible."""
    try:
        return os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR | os.O_APPEND)
    except OSError:
        with tempfile.TemporaryFile() as file:
            return os.dup(file.fileno())


def make_basetemp(config: Any) -> None:
    """Make the directory for temporary directories before the fork: each process would make, and remove, one."""
    factory = getattr(config, "_tmp_path_factory", None)
    if factory is not None:
        factory.getbasetemp()
