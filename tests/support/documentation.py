"""The commands that the documentation shows, and what they print: run them, compare, or write down anew.

In a page, a comment says which suite the next block's commands are run in::

    .. shown in crashing

    .. code-block:: console

       $ python -m isolatedunit test_parser
       ...

``crashing`` is a folder of ``docs/suites``, or ``examples``. All blocks of a page that are shown in one suite are run
in one copy of it, in their order. ``python -m tests.support.documentation`` writes what they print into the pages.
"""

from __future__ import annotations

import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.command_line import environment, run_python
from tests.support.paths import REPOSITORY
from tests.support.waiting import PATIENCE

DOCS = os.path.join(REPOSITORY, "docs")
PAGES = tuple(sorted(glob.glob("**/*.rst", root_dir=DOCS, recursive=True)))

_SHOWN = re.compile(
    r"^\.\. shown in (?P<suite>\S+)\n\n\.\. code-block:: console\n\n(?P<block>(?:   [^\n]*\n|\n)+)", re.MULTILINE
)
_COMMAND = "$ "

_LATER_FRAMES = re.compile(r'^( *)File "(?!(?:[\w.]+/)*[\w.]+\.py")[^\n]*\n(?:\1  [^\n]*\n)*', re.MULTILINE)
"""Frames of files that are not below the suite, with the line of code that some tracebacks show."""

_VOLATILE = (
    (re.compile(r" The machine was overloaded: .*"), ""),
    (re.compile(r"(?<=\ds) \(\d+:\d\d:\d\d\)"), ""),  # which pytest adds to more than a minute
    (re.compile(r"\d[\d,]*(?= processes$)", re.MULTILINE), "N"),  # of an audit, which repeats what a busy machine loses
    (re.compile(r"\d+(?:\.\d+)?(?= ?(?:ms|s|MiB|KiB|GiB)\b)"), "N"),
    (re.compile(r"0x[0-9a-f]+"), "0xN"),
    (re.compile(r"\b(process|descriptor|port|pid|digest) [0-9a-f]+\b"), r"\1 N"),
    (re.compile(r"127\.0\.0\.1(:|', )\d+"), r"127.0.0.1\1N"),
    (re.compile(r"/tmp/\w+"), "/tmp/N"),
    (re.compile(r"(largest used [^(\n]*)\([^\n]*\)"), r"\1(...)"),
    (re.compile(r"^ *[~^]+\n", re.MULTILINE), ""),
    (re.compile(r"(?<= )\d+(?:\.\d+)?%"), "N%"),
    (re.compile(r"[ ]{2,}"), " "),
)
"""What no two runs have the same, and what is drawn below a line of code from Python 3.11 on."""


@dataclass(frozen=True)
class Shown:
    """A block of a page: what it shows of the commands that are run in *suite*, and where it stands."""

    suite: str
    text: str
    start: int
    end: int

    @property
    def commands(self) -> list[str]:
        return [line[len(_COMMAND) :] for line in self.text.splitlines() if line.startswith(_COMMAND)]


def shown_in(page: str) -> list[Shown]:
    """The blocks of the page that show what commands print."""
    with open(os.path.join(DOCS, page), encoding="utf-8") as file:
        text = file.read()
    found = []
    for match in _SHOWN.finditer(text):
        lines = [line[3:] for line in match["block"].rstrip("\n").splitlines()]
        found.append(Shown(match["suite"], "\n".join(lines) + "\n", match.start("block"), match.end("block")))
    return found


SHOWING = tuple(page for page in PAGES if shown_in(page))
"""The pages that show what commands print."""


def run_all(blocks: list[Shown]) -> Iterator[str]:
    """What each block would be, had it been written now."""
    with tempfile.TemporaryDirectory() as scratch:
        for block in blocks:
            directory = os.path.join(os.path.realpath(scratch), block.suite)
            if not os.path.exists(directory):
                suite = block.suite if block.suite == "examples" else os.path.join("docs", "suites", block.suite)
                ignored = shutil.ignore_patterns("__pycache__", ".isolatedunit")
                shutil.copytree(os.path.join(REPOSITORY, suite), directory, ignore=ignored)
            yield "".join(f"{_COMMAND}{command}\n{_print_of(command, directory)}" for command in block.commands)


def _print_of(command: str, directory: str) -> str:
    path = os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", "")
    # empty is as if it was not set: most readers have not, and what goes to a pipe waits in a buffer
    env = environment(PATH=path, COLUMNS="100", PYTHONHASHSEED="0", PYTHONUNBUFFERED="")
    words = shlex.split(command)
    if words[0] == "python" and shlex.join(words) == command:
        output = run_python(*words[1:], cwd=directory, env=env).output
    else:
        output = _print_of_shell(command, directory, env)
    text = output.replace(f"{directory}{os.sep}", "").replace(directory, ".")
    text = re.sub(r"(largest used [^(\n]*)\([^\n]*\)", r"\1(...)", text)
    return re.sub(r"^(?:  \.\.\.\n)+", "  ...\n", _LATER_FRAMES.sub("  ...\n", text), flags=re.MULTILINE)


def _print_of_shell(command: str, directory: str, env: dict[str, str]) -> str:
    ended = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=directory,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE,
        check=False,
    )
    return ended.stdout.decode("utf-8", "backslashreplace")


def essence(text: str) -> str:
    """The text without what differs from run to run."""
    for pattern, replacement in _VOLATILE:
        text = pattern.sub(replacement, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def write_down(page: str) -> bool:
    """Put what the commands print now into the page, where that differs in more than the figures; True if it did."""
    blocks = shown_in(page)
    path = os.path.join(DOCS, page)
    with open(path, encoding="utf-8") as file:
        before = text = file.read()
    for block, now in reversed(list(zip(blocks, run_all(blocks), strict=True))):
        if essence(now) != essence(block.text):
            lines = "".join(f"   {line}".rstrip() + "\n" for line in now.splitlines())
            text = f"{text[: block.start]}{lines}\n{text[block.end :]}"
    if text != before:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    return text != before


if __name__ == "__main__":
    for name in sys.argv[1:] or PAGES:
        if write_down(name):
            print(f"docs/{name} is written anew")
