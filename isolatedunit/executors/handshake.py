"""What has to be the same on a worker as here, before a test runs there. It imports little, as workers call it."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

from isolatedunit import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isolatedunit.model.results import PlannedTest


def expectation_of(tests: Sequence[PlannedTest]) -> dict[str, Any]:
    """What `compare` takes, for these tests, as it is here."""
    from isolatedunit.executors.work import files_of

    files = files_of(tests)
    return {
        "version": __version__,
        "python": _python(),
        "directory": os.getcwd(),
        "files": {file: _digest(file) for file in files},
    }


def compare(expected: Mapping[str, Any]) -> str | None:
    """One sentence on what is not here as it is *expected*; None if all is."""
    if expected["version"] != __version__:
        return f"it has isolatedunit {__version__} and not {expected['version']}; install the same version."
    if expected["python"] != _python():
        return f"it has {_python()} and not {expected['python']}; start its workers with the same Python."
    if not os.path.isdir(expected["directory"]):
        return f"it has no directory {expected['directory']!r}; put the project at the same path on all machines."
    for file, digest in expected["files"].items():
        found = _digest(file)
        if found != digest:
            what = "it has no file" if found is None else "it has another version of"
            return f"{what} {file!r}; put the same files at the same paths on all machines."
    return None


def _python() -> str:
    return f"{platform.python_implementation()} {platform.python_version()}"


def _digest(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()[:16]
    except OSError:
        return None
