"""Tells whether the sources of tests, and what they run under, are those of an earlier run."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Sequence

_OF_INSTALLED = (".dist-info", ".egg-info", ".egg-link", ".pth", ".egg")


class Sources:
    """The files of the project at the beginning of a run, which is when this is made."""

    def __init__(self) -> None:
        self._began = time.time()
        self._digests: dict[str, bytes] = {}
        self._surroundings: bytes | None = None

    def digest_of(self, files: Sequence[str]) -> str:
        """One text for the contents of *files*, the interpreter and what is installed for it."""
        if self._surroundings is None:
            self._surroundings = _describe_surroundings()
        whole = hashlib.blake2b(self._surroundings, digest_size=16)
        for file in files:
            if file not in self._digests:
                self._digests[file] = _digest_of(file)
            whole.update(os.fsencode(file) + b"\0" + self._digests[file])
        return whole.hexdigest()

    def have_changed(self, files: Sequence[str]) -> bool:
        """Whether any of *files* was written since the beginning, so that nobody knows what the tests have loaded."""
        return any(_changed_at(file) > self._began for file in files)


def _digest_of(file: str) -> bytes:
    try:
        with open(file, "rb") as source:
            return hashlib.blake2b(source.read(), digest_size=16).digest()
    except OSError:
        return b"gone"


def _changed_at(file: str) -> float:
    try:
        return os.stat(file).st_mtime
    except OSError:
        return float("inf")


def _describe_surroundings() -> bytes:
    """The interpreter, and the names of what is installed, which have the versions in them."""
    found = [sys.version, sys.platform, sys.prefix]
    for folder in sys.path:
        if "site-packages" in folder or "dist-packages" in folder:
            try:
                names = sorted(name for name in os.listdir(folder) if name.endswith(_OF_INSTALLED))
            except OSError:
                continue
            found += [folder, *names]
    return hashlib.blake2b("\n".join(found).encode("utf-8", "surrogateescape"), digest_size=16).digest()
