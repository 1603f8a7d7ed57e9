"""How an interpreter that becomes a child is started without multiprocess, on systems with ``os.posix_spawn``.

This module imports next to nothing: the first interpreter of a run starts while multiprocess is still being imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from subprocess import _args_from_interpreter_flags  # type: ignore[attr-defined] # multiprocess has a copy of it
from typing import Any

from isolatedunit.system.processes import HASH_SEED_VARIABLE, RUN_VARIABLE, add_mark, unreaped

PACKAGE_PARENT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IS_LEAN = hasattr(os, "posix_spawn") and sys.platform != "win32"

TEMPLATE, TEMPLATE_OF_CALLS = "template", "template of calls"
"""The roles of an interpreter that tests or calls are forked from; it gets ready before it knows of its run."""


def environment_of(mark: str, hash_seed: int | None) -> dict[str, str]:
    """The environment of an interpreter that carries *mark*, and whose hashes have this seed, if there is one.

    Processes that list and run tests have to agree on the order of sets.
    """
    environment = {**os.environ, RUN_VARIABLE: add_mark(mark)}
    if hash_seed is not None:
        environment[HASH_SEED_VARIABLE] = str(hash_seed)
    return environment


def program_of(reader: int, writer: int, role: str) -> str:
    """What an interpreter runs with ``-c`` to become a child in *role* that has these descriptors for its Connections.

    It reads commands from *reader*, and writes reports to *writer*.
    """
    # -c puts "" into sys.path, the user's folder, where a module may have the name of one of the standard library's: it
    # must not be there while the bootstrap is imported. Nothing that this imports is garbage, and
    # looking for some takes 3 ms. In a template it spares each fork the copies of 35 pages, nobody knows why.
    is_template = role in (TEMPLATE, TEMPLATE_OF_CALLS)
    looks_for_garbage = "collects = gc.isenabled()" + ("" if is_template else "; gc.disable()")
    return (
        f"import gc, sys; {looks_for_garbage}; parent = {PACKAGE_PARENT!r}; "
        "sys.path.insert(0, parent); import isolatedunit; "
        "sys.path[:] = [*(one for one in sys.path if one not in ('', parent)), parent]; "
        "from isolatedunit.child.sealing import enter; "
        f"enter('isolatedunit.child.bootstrap').main({reader}, {writer}, {role!r}, collects)"
    )


def start(
    executable: str | bytes,
    descriptors: tuple[int, int],
    role: str,
    environment: Mapping[str, str],
    capture: Mapping[str, str],
) -> int:
    """Start an interpreter that becomes a child in *role*; returns its process id. Raises `OSError`.

    *descriptors* are those that the child reads commands from and writes reports to. *capture* names the files for
    ``stdout`` and ``stderr``; a stream that it does not name is the one of this process.
    """
    reader, writer = descriptors
    # they are closed on exec, and dup2 onto the same number would leave that so
    free = [number for number in range(3, 7) if number not in descriptors]
    targets = dict(zip(descriptors, free, strict=False))
    arguments = [executable, *_args_from_interpreter_flags(), "-c", program_of(targets[reader], targets[writer], role)]
    actions: list[tuple[Any, ...]] = [(os.POSIX_SPAWN_DUP2, *change) for change in targets.items()]
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for stream, number in (("stdout", 1), ("stderr", 2)):
        if stream in capture:
            actions.append((os.POSIX_SPAWN_OPEN, number, capture[stream], flags, 0o600))
    try:
        # a session of its own from the first moment: a Ctrl-C is the runner's
        started = os.posix_spawn(executable, arguments, environment, file_actions=actions, setsid=True)
    except NotImplementedError:
        started = os.posix_spawn(executable, arguments, environment, file_actions=actions)
    unreaped.add(started)
    return started
