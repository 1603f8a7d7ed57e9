"""The first of our code in a new interpreter: takes the Connection and becomes what it is told.

Before anything of the user's runs, output goes to the attempt's files, input comes from nowhere,
a crash leaves its stack behind, and the process has a session or a group of its own, to be ended
as a whole.
"""

from __future__ import annotations

import faulthandler
import gc
import io
import os
import sys

from isolatedunit import channel, resources, shadows
from isolatedunit.child import PLAIN, heart, worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from isolatedunit.messages import Prepare

try:
    import fcntl
except ImportError:  # not POSIX; its descriptors are not inherited unless asked for
    fcntl = None  # type: ignore[assignment]

_HIGH_DESCRIPTOR = 100
"""Where our own descriptors begin, out of the way of tests that count or close theirs."""

_is_ready = False


def main(descriptor: int, role: str) -> None:
    """Be the child at the other end of *descriptor*, in *role*. Does not return."""
    pipe = channel.PipeEnd(move_out_of_the_way(descriptor))
    if role == "template":
        _get_ready()  # while the runner is still being imported
    _serve(pipe)


def main_over_connection(connection: Any) -> None:
    """The same for a child that multiprocess itself connected. Does not return."""
    _serve(channel.ConnectionEnd(connection))


def _serve(pipe: channel.PipeEnd) -> None:
    try:
        prepare = pipe.receive()
        become_part_of_run(prepare)  # type: ignore[arg-type]
        _do_work(pipe, prepare)  # type: ignore[arg-type]
    except EOFError:  # the runner is gone
        os._exit(0)


def _do_work(pipe: channel.PipeEnd, prepare: Prepare) -> None:
    channel.current = pipe
    redirect(os.open(os.devnull, os.O_RDONLY), 0)
    take_capture(prepare.capture)
    if "stdout" in prepare.capture:
        write_through()
    heart.answer_nudges()
    if prepare.coverage is not None:
        from isolatedunit.child import lines

        lines.begin(prepare.coverage)
    if prepare.role == "template":
        from isolatedunit.child import template

        _get_ready()
        _make_way()
        template.Template(pipe, scratch=prepare.scratch).serve()
    _make_way()
    worker.execute(pipe, pipe.receive(), spawned=True)


def _get_ready() -> None:
    """Do all that a template does before it knows whose tests it is for; a second time there is nothing to do."""
    global _is_ready
    if _is_ready:
        return
    _is_ready = True
    from isolatedunit.child import rehearsal, template  # noqa: F401 - whose imports take the longest

    rehearsal.rehearse()
    gc.collect()  # once, here: its forks look only at what they make themselves


def _make_way() -> None:
    shadows.note_own_modules(PLAIN)
    shadows.let_go_of_shadowed()


def become_part_of_run(prepare: Prepare) -> None:
    """Take over what the runner's interpreter has: where it imports from, where it stands."""
    sys.path[:] = prepare.sys_path
    sys.argv[:] = prepare.argv
    os.chdir(prepare.directory)
    main_module: Any = sys.modules["__main__"]
    for name in [name for name in vars(main_module) if not name.startswith("__")]:
        delattr(main_module, name)
    if prepare.own_session and hasattr(os, "setsid"):
        try:
            os.setsid()
        except OSError:
            pass  # it has one already


def take_capture(capture: dict[str, str]) -> int | None:
    """Send this process's output, and its stacks, to the files that *capture* names.

    Returns the descriptor of the file for the stacks.
    """
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if name in capture:
            redirect(open_capture(capture[name]), descriptor)
    if "stacks" not in capture:
        return None
    stacks = move_out_of_the_way(open_capture(capture["stacks"]))
    dump_stacks_to(stacks)
    return stacks


def redirect(source: int, target: int) -> None:
    """Make *target* refer to what the descriptor *source* does, and close *source*."""
    if source != target:
        os.dup2(source, target)
        os.close(source)


def open_capture(path: str) -> int:
    """Open a file for output from several processes at once."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def move_out_of_the_way(descriptor: int) -> int:
    """Give the descriptor a high number, which no child of this process inherits."""
    if fcntl is None:
        return descriptor
    try:
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH_DESCRIPTOR)
    except OSError:  # too few descriptors allowed
        os.set_inheritable(descriptor, False)
        return descriptor
    os.close(descriptor)
    return moved


def write_through() -> None:
    """Let nothing wait in a buffer: what was written before a crash is what explains it."""
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        old = getattr(sys, name)
        raw: Any = io.FileIO(descriptor, "w", closefd=False)
        raw.name = f"<{name}>"
        stream: Any = io.TextIOWrapper(
            raw,
            encoding=getattr(old, "encoding", "utf-8"),
            errors="backslashreplace" if name == "stderr" else getattr(old, "errors", "strict"),
            write_through=True,
        )
        stream.mode = "w"
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def dump_stacks_to(descriptor: int) -> None:
    """Write every thread's stack there at a crash, and whenever `resources.DUMP_STACKS` arrives."""
    faulthandler.enable(descriptor)
    if resources.DUMP_STACKS is not None and hasattr(faulthandler, "register"):
        faulthandler.register(resources.DUMP_STACKS, descriptor, all_threads=True)
