"""The first of our code in a new interpreter: takes its Connections and becomes a template or a worker.

Before any user code runs, output goes to the attempt's files, standard input is empty, a crash leaves its stack
behind, and the process has a session or a process group of its own, so that it can be ended as a whole.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # as in `reaper`
import gc
import os
import sys

from isolatedunit.child import PLAIN, fork_hooks, heartbeat, immortal, reaper, receipt, worker
from isolatedunit.child.streams import (
    move_out_of_the_way,
    redirect,
    refuse_breakpoint,
    take_capture,
    write_through,
)
from isolatedunit.collection import bytecode, import_path
from isolatedunit.collection.addresses import Finder
from isolatedunit.protocol import channel
from isolatedunit.system.monkey_patches import patch_by_gevent
from isolatedunit.system.processes import set_hash_seed_variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from isolatedunit.collection.addresses import Inherited
    from isolatedunit.protocol.messages import Prepare

try:
    import fcntl
except ImportError:  # not POSIX; its descriptors are not inherited unless asked for
    fcntl = None  # type: ignore[assignment]


_is_ready = False


def main(reader: int, writer: int, role: str, collects_garbage: bool) -> None:
    """Be a child, in *role*, whose commands come from *reader* and whose reports go to *writer*. Does not return.

    From user code on, the interpreter looks for garbage, if it *collects_garbage*.
    """
    commands = move_out_of_the_way(reader)
    pipe = channel.PipeEnd(commands, commands if reader == writer else move_out_of_the_way(writer))
    if role.startswith("template"):
        _get_ready(for_calls=role == "template of calls")  # while the runner itself is still importing
    if collects_garbage and not gc.isenabled():
        gc.freeze()
        gc.unfreeze()  # every object counts as old now, and is not looked at soon
        gc.enable()
    _serve(pipe)


def main_over_connections(reader: Any, writer: Any) -> None:
    """Be the child of Connections that multiprocess itself has made. Does not return."""
    _serve(channel.ConnectionEnd(reader, writer))


def main_in_fork(
    descriptor: int,
    tests: Sequence[Inherited],
    begin: Callable[[], object] | None,
    prepare_all: Callable[[], object] | None,
    packages: Sequence[str],
) -> None:
    """Be the base template in a fork of the runner's process, which has *tests*. Does not return.

    Calls *prepare_all* once, and each test's process first calls *begin*. *packages* are those of the runner's.
    """
    end = move_out_of_the_way(descriptor)
    pipe = channel.PipeEnd(end, end)
    try:
        prepare: Any = pipe.receive()
    except EOFError:  # the runner is gone
        os._exit(0)
    _begin_session()
    os.environ.update(prepare.environment)
    stacks = _take_over_streams(pipe, prepare)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # others may hold it, so it has to stay
            stream.reconfigure(line_buffering=True)
    if prepare_all is not None:
        prepare_all()
    _get_ready()
    if prepare.immortal:
        immortal.make_definitions_immortal(packages, len(tests))
    reaper.take_sigchld()
    _serve_as_template(pipe, prepare, stacks, Finder(inherited=tests, begin=begin))


def _serve_as_template(
    pipe: channel.PipeEnd, prepare: Prepare, stacks: int | None, finder: Finder | None = None
) -> None:
    from isolatedunit.child import template, warmth

    if prepare.warm:
        warmth.common = warmth.Common(os.path.join(prepare.scratch, "warm"), prepare.bytecode, prepare.directory)
    if not prepare.sandboxed:
        template.Template(pipe, scratch=prepare.scratch, stacks=stacks, finder=finder).serve()
    from isolatedunit.child import lane

    lanes = lane.begin(pipe, prepare.scratch)  # which is in a fork from here on
    template.Template(pipe, stacks=stacks, finder=finder, lanes=lanes).serve()


def _serve(pipe: channel.PipeEnd) -> None:
    try:
        prepare = pipe.receive()
        become_part_of_run(prepare)  # type: ignore[arg-type]
        _do_work(pipe, prepare)  # type: ignore[arg-type]
    except EOFError:  # the runner is gone
        os._exit(0)


def _take_over_streams(pipe: channel.PipeEnd, prepare: Prepare) -> int | None:
    """Talk to the runner over *pipe*, read nothing and write to files; returns the descriptor for stacks."""
    channel.current = pipe
    redirect(os.open(os.devnull, os.O_RDONLY), 0)
    if sys.breakpointhook is sys.__breakpointhook__:
        sys.breakpointhook = refuse_breakpoint
    stacks = take_capture(prepare.capture)
    heartbeat.answer_nudges()
    return stacks


def _do_work(pipe: channel.PipeEnd, prepare: Prepare) -> None:
    stacks = _take_over_streams(pipe, prepare)
    if "stdout" in prepare.capture:
        write_through()
    if prepare.coverage is not None:
        receipt.measure_lines(prepare.coverage)
    if prepare.role == "template":
        _get_ready()
        immortal.wanted = prepare.immortal
        reaper.take_sigchld(_signal.SIG_IGN if prepare.ignores_children else _signal.SIG_DFL)
        _make_way(prepare)
        _serve_as_template(pipe, prepare, stacks)
    if prepare.role == "checkpoint":
        from isolatedunit.child import checkpoint

        _make_way(prepare)
        checkpoint.begin(prepare.scratch, pipe.reader)
    if prepare.ignores_children:
        _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)
    _make_way(prepare)
    worker.execute(pipe, pipe.receive_work(), spawned=True)


def _get_ready(*, for_calls: bool = False) -> None:
    """Do what a template can do before it knows whose tests, or calls, it is for; does nothing the second time."""
    global _is_ready
    if _is_ready:
        return
    _is_ready = True
    from isolatedunit.child import prebuilt, template  # noqa: F401 - whose imports take the longest

    if for_calls:
        worker.rehearse_call()
    else:
        prebuilt.rehearse_test()
    fork_hooks.find()
    gc.collect()  # once: forks look only at objects that they make themselves


def _make_way(prepare: Prepare) -> None:
    import_path.note_own_modules(PLAIN)
    import_path.unload_shadowed()
    bytecode.take_over_compiling(prepare.bytecode)
    if prepare.patched_by_gevent:
        # what is sealed has what was there before
        patch_by_gevent(prepare.patched_by_gevent)


def become_part_of_run(prepare: Prepare) -> None:
    """Take over the runner's import path, arguments and current directory."""
    sys.path[:] = [*prepare.sys_path, *(sys.path if prepare.keeps_path else ())]
    sys.argv[:] = prepare.argv
    set_hash_seed_variable(prepare.hash_seed)
    os.environ.update(prepare.environment)
    os.chdir(prepare.directory)
    main_module: Any = sys.modules["__main__"]
    for name in [name for name in vars(main_module) if not name.startswith("__")]:
        delattr(main_module, name)
    if prepare.own_session and hasattr(os, "setsid"):
        _begin_session()


def _begin_session() -> None:
    try:
        os.setsid()
    except OSError:
        pass  # it has one already
