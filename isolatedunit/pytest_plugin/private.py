"""What the plugin uses of pytest and pluggy that is not public: all of it, and nothing else.

``tests/process/test_pytest_plugin.py`` has a test for each of these names. Where a version lacks one, isolation is
refused by name (`missing`) rather than done wrongly.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any


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


def take_capture(config: Any) -> None:
    """Give this fork capture files of its own: two that wrote to one would cut off each other's output.

    They are the files that this process's standard output and error go to. pytest empties them as it reads what was
    captured, so what is left in them is what a crashed test has printed.
    """
    for descriptor, capture in _descriptor_captures(config):
        own = _open_again(descriptor)
        os.dup2(own, capture.tmpfile.fileno())
        os.dup2(own, capture.targetfd_save)
        os.close(own)


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
