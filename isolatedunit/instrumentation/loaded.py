"""Records which source files the process of a test has loaded, so that a change of one runs the right tests again."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_STANDARD_LIBRARY = os.path.dirname(os.__file__)


def save(directory: str, homes: Iterable[Mapping[str, Any]]) -> None:
    """Write which files this process has loaded, and which of these are the test modules of *homes*.

    What a test has done to `sys.modules` may leave nothing to write.
    """
    try:
        modules = {name: _file_of(module) for name, module in list(sys.modules.items())}
        names = {"__main__" if "main" in home else home.get("module", "") for home in homes}
        tests = [modules[name] for name in names if modules.get(name)]
        text = json.dumps({"tests": tests, "files": sorted({file for file in modules.values() if file})})
        with open(os.path.join(directory, str(os.getpid())), "w", encoding="utf-8") as file:
            file.write(text)
    except Exception:
        return


def _file_of(module: Any) -> str:
    """The source of a module of the project, without links; empty for others."""
    file = getattr(module, "__file__", None)
    if type(file) is not str or not file.endswith(".py") or "site-packages" in file:
        return ""
    if file.startswith(_STANDARD_LIBRARY + os.sep):  # most are, and to resolve a path takes long
        return ""
    path = os.path.realpath(file)
    return "" if path.startswith((_OURS + os.sep, _STANDARD_LIBRARY + os.sep)) else path


def read(directory: str) -> dict[str, set[str]]:
    """What processes have written into *directory*: for the file of each test module, the files that it needs."""
    found: dict[str, set[str]] = {}
    for entry in os.scandir(directory):
        try:
            with open(entry.path, encoding="utf-8") as file:
                saved = json.load(file)
        except (OSError, ValueError):  # its process was killed meanwhile
            continue
        tests, files = (_texts_in(saved, name) for name in ("tests", "files"))
        for test in tests:
            found.setdefault(test, set()).update(files)
    return found


def _texts_in(saved: Any, name: str) -> list[str]:
    """A list of texts that a process has written; empty if it is none, since a test may have replaced ``sorted``."""
    texts = saved.get(name) if isinstance(saved, dict) else None
    return texts if isinstance(texts, list) and all(isinstance(text, str) for text in texts) else []
