"""Ends the children of a run whose runner was killed: a script that imports nothing of ours.

The runner announces children on its standard input, as ``+12345`` and ``-12345``, and at last ``done``. If the input
ends without that word the runner is gone, and all that it started has to go, too. That is found by the children's
sessions, and by the mark that every process of a run has in its environment.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time

GIVE_UP_AFTER = 5.0
LOOKS_FOR = 1.0


def main() -> None:
    """Watch the runner, and clean up if it ends without a word."""
    run, scratch, runner = sys.argv[1:4]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    children: set[int] = set()
    for line in sys.stdin:
        word = line.strip()
        if word == "done":
            return
        if word[:1] == "+":
            children.add(int(word[1:]))
        elif word[:1] == "-":
            children.discard(int(word[1:]))
    if not is_gone(int(runner)):
        return
    deadline = time.monotonic() + GIVE_UP_AFTER
    for child in children:
        kill_group(child)
    while time.monotonic() < deadline and kill_marked(run):
        time.sleep(0.01)
    shutil.rmtree(scratch, ignore_errors=True)


def is_gone(parent: int) -> bool:
    """Whether the runner has ended, which shows here a little late; it may only have closed its pipe."""
    deadline = time.monotonic() + LOOKS_FOR
    while os.getppid() == parent and time.monotonic() < deadline:
        time.sleep(0.001)
    return os.getppid() != parent


def kill_group(leader: int) -> None:
    """Kill the process and its group."""
    for kill in (os.killpg, os.kill):
        try:
            kill(leader, signal.SIGKILL)
        except OSError:
            continue


def kill_marked(run: str) -> bool:
    """Kill every process that carries the run's mark; returns whether there was any."""
    mark = f" {run}".encode()
    found = False
    try:
        names = os.listdir("/proc")
    except OSError:
        return False
    for name in names:
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                variables = file.read().split(b"\0")
                if any(mark in one for one in variables if one.startswith(b"_ISOLATEDUNIT_RUN=")):
                    os.kill(int(name), signal.SIGKILL)
                    found = True
        except OSError:
            continue
    return found


if __name__ == "__main__":
    main()
