"""Which start methods and sandboxes this system can use."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib.util import find_spec

from isolatedunit.errors import BackendUnavailable
from isolatedunit.model.start_methods import START_METHODS, StartMethod, is_sandbox, stands_alone

_PORTABLE = next(iter(START_METHODS))

_PACKAGE_PARENT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_PROBE = """import sys
sys.path.insert(0, sys.argv[1])
from importlib import import_module
getattr(import_module(sys.argv[2]), sys.argv[3])(sys.argv[4])
"""

_ALLOWING = {
    "kernel/unprivileged_userns_clone": ("0", "sysctl kernel.unprivileged_userns_clone=1"),
    "user/max_user_namespaces": ("0", "sysctl user.max_user_namespaces=10000"),
    "kernel/apparmor_restrict_unprivileged_userns": ("1", "sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
}
"""The settings of the kernel that forbid namespaces, each with the value that does and the command that allows them."""


def usable_start_method(wanted: str, sandbox: str = "none") -> str:
    """The start method to use for *wanted*, which may be ``auto``, in this *sandbox*; raises `BackendUnavailable`.

    The sandbox ``auto`` is the first that can be used, or none.
    """
    if sandbox != "none":
        refusals = {name: refusal_of(name, wanted) for name in ([sandbox] if sandbox != "auto" else sandboxes())}
        for name, refusal in refusals.items():
            if refusal is None:
                return name
            if sandbox == name:
                raise BackendUnavailable(f"--sandbox {name}: {refusal}")
    if wanted == "auto":
        return next((name for name in proven_start_methods() if START_METHODS[name].default_on), _PORTABLE)
    method = START_METHODS[wanted]
    if not _has_all(method.needs) or not _has_modules(method.modules):
        raise BackendUnavailable(f"start_method {wanted!r} needs {method.requirement}; use {_PORTABLE!r}.")
    return wanted


def proven_start_methods() -> tuple[str, ...]:
    """Those that work on this system and are not merely possible: what ``auto`` may choose, and what works anywhere."""
    methods = {name: method for name, method in START_METHODS.items() if not is_sandbox(name)}
    return tuple(
        name
        for name, method in methods.items()
        if not method.modules
        and _has_all(method.needs)
        and (not method.default_on or sys.platform in method.default_on)
    )


def sandboxes() -> tuple[str, ...]:
    """The names of all sandboxes that ``auto`` may choose, the one that it prefers first."""
    return tuple(filter(stands_alone, START_METHODS))


def refusal_of(sandbox: str, start_method: str = "auto") -> str | None:
    """Why the sandbox cannot be used with this start method, and what to do about it; None if it can."""
    method = START_METHODS[sandbox]
    if start_method not in method.stands_for:
        usable = " or ".join(map(repr, method.stands_for))
        return f"it cannot be combined with start_method {start_method!r}; use {usable}."
    if not _has_all(method.needs):
        return f"it needs {method.requirement}; use --sandbox none."
    return _probe(method)[0] if method.probe else None


def undoes_changes(sandbox: str) -> bool:
    """Whether a sandbox that can be used can show and undo changes of files in the current directory."""
    return not _probe(START_METHODS[sandbox])[1]


@cache
def _probe(method: StartMethod) -> tuple[str | None, str]:
    """What the system refuses to a sandbox, and what it lacks there, found out by trying, once in each process."""
    import subprocess
    import tempfile

    with tempfile.TemporaryDirectory(prefix="isolatedunit-probe-", ignore_cleanup_errors=True) as directory:
        arguments = [_PACKAGE_PARENT, *method.probe.split(":"), directory]
        program = [sys.executable, "-I", "-S", "-c", _PROBE, *arguments]
        ended = subprocess.run(program, capture_output=True, text=True, check=False)  # noqa: S603 - this interpreter
    if not ended.returncode:
        return None, ended.stdout
    said = ended.stdout or (ended.stderr.splitlines() or [f"exit code {ended.returncode}"])[-1]
    return f"the system refuses it ({said}); {_how_to_allow_it()}, or use --sandbox none.", said


def _how_to_allow_it() -> str:
    for name, (forbidding, command) in _ALLOWING.items():
        try:
            with open(f"/proc/sys/{name}", encoding="ascii") as file:
                if file.read().strip() == forbidding:
                    return f"allow it with: {command}"
        except OSError:
            continue
    return "if this is a container, start that with --privileged"


def _has_modules(modules: tuple[str, ...]) -> bool:
    return all(find_spec(name) is not None for name in modules)


def _has_all(functions: tuple[str, ...]) -> bool:
    return all(hasattr(os, name) for name in functions)
