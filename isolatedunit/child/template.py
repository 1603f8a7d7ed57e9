"""A template: a process that forks others and runs no test itself.

The *base template* is a fresh interpreter that has imported unittest and nothing else. It forks *module templates*. A
module template imports one module, once, and then forks a child for one test after another. It never has two children
at a time, so whatever is among its children when a test's process has ended was left behind by that very test.

Where fixtures run once for many tests, a child of a module template runs them and becomes a *fixture process*: a
template that starts from the fixtures' snapshot, and that forks module templates as the base template does. Its
own module template waits for its end as for any child's, and so finds what the fixtures leave behind in the same way.

On Linux every template is a child subreaper: a process that a test left behind becomes a child of its module
template, however it detached itself. Templates exist on POSIX only.
"""

from __future__ import annotations

import _socket
import atexit
import gc
import os
import struct
import sys
import time

from isolatedunit.child import (
    cleanup,
    fixtures,
    fork_hooks,
    heartbeat,
    immortal,
    import_prefix,
    preludes,
    random_seed,
    reaper,
    receipt,
    streams,
    warmth,
    worker,
)
from isolatedunit.child.fork_safety import finish_import, open_channels, what_forbids_forking
from isolatedunit.child.prebuilt import note_import, prepare
from isolatedunit.child.reaper import (
    LEAVE_GRACE,
    RunnerGone,
    Watch,
    end_all_below,
    end_leftovers,
    give_sigchld,
    is_orphaned,
    reap_quietly,
    take_sigchld,
)
from isolatedunit.child.reporter import OPEN, is_plain, make_form, open_name
from isolatedunit.collection.addresses import Finder, import_module
from isolatedunit.protocol import channel
from isolatedunit.protocol.messages import (
    ChildReady,
    ChildReaped,
    EndFixtureProcess,
    EndStrays,
    Exit,
    FixtureProcessReady,
    ForkChild,
    ForkTemplate,
    LoadFinished,
    LoadStarted,
    RunFunction,
    RunTest,
    decode_command,
)
from isolatedunit.system import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from isolatedunit.child.function import PreparedCall
    from isolatedunit.child.lane import Lane, LaneMaker
    from isolatedunit.child.prebuilt import Prepared
    from isolatedunit.protocol.channel import PipeEnd
    from isolatedunit.protocol.messages import Command, Report, SetUpFixture, Work

REMOVED = -1
"""Stands for the size of a capture file that was removed: nobody could read what is written to it from now on."""

PARENT_CHECK_INTERVAL = 1
"""Seconds between two checks that the template's own parent is still alive."""

_READ_SIZE = 4096  # longer than most commands; a larger buffer would be allocated and freed for each of them
_RIGHTS_SIZE = _socket.CMSG_SPACE(4 * 4)  # for four descriptors


class Template:
    """One template: `serve` carries out the runner's commands until the run is over or the runner is gone.

    *stacks* is the descriptor of the file for its own stacks, until it has files for those of a child. *finder* knows
    what a process that is not pristine has loaded. *like* is the template that this process was forked from; this one
    starts with all that it has loaded. In a sandbox, *lanes* makes the lanes that the base template forks, and *lane*
    is what a template has that is one.
    """

    def __init__(
        self,
        pipe: PipeEnd,
        *,
        scratch: str | None = None,
        stacks: int | None = None,
        finder: Finder | None = None,
        like: Template | None = None,
        lanes: LaneMaker | None = None,
        lane: Lane | None = None,
    ) -> None:
        self._pipe = pipe
        self._scratch = scratch
        self._lanes = lanes
        self._lane = lane
        self._socket = _socket.socket(fileno=pipe.reader)
        timeout = struct.pack("ll", PARENT_CHECK_INTERVAL, 0)
        self._socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVTIMEO, timeout)
        self._frames = channel.FrameReader()
        self._commands: list[bytes] = []
        self._descriptors: list[int] = []
        self._parent = os.getppid()
        self._finder: Finder | None = finder if like is None else like._finder
        self._tried: set[str] = set() if like is None else like._tried
        self._capture: dict[str, str] = {} if like is None else like._capture
        own = {} if stacks is None else {"stacks": stacks}
        self._captured: dict[str, int] = own if like is None else like._captured
        self._sizes: list[int] = []
        self._forms: dict[int, bytes] = {}
        self._watch = Watch(self._socket.fileno())
        self._warmth: warmth.Warmth | None = warmth.Warmth()
        self._has_loaded_all: bool = True if like is None else like._has_loaded_all
        self._collects_garbage: bool = True if like is None else like._collects_garbage
        self._fixture_snapshot: fixtures.FixtureSnapshot | None = None if like is None else like._fixture_snapshot
        self._holds_fixtures = False
        self._kept: set[int] = set()
        self._templates: set[int] = set()
        self._holds_shared_imports = False
        self._shared_imports_duration: float = 0.0 if like is None else like._shared_imports_duration
        self._unsafe: str | None = None
        processes.become_subreaper(True)
        self._is_subreaper = processes.is_subreaper()

    def serve(self) -> NoReturn:
        """Carry out the runner's commands; after the last one, end every process below this one and leave."""
        clean_exit = False
        try:
            self._report(ChildReady)
            while True:
                command = self._receive()
                if isinstance(command, Exit):
                    clean_exit = True
                    break
                if isinstance(command, ForkTemplate):
                    self._fork_template(command, self._descriptors.pop(0))
                elif isinstance(command, ForkChild):
                    self._fork_child(command)
                elif isinstance(command, EndStrays):
                    self._end_strays(command.template)
                elif isinstance(command, EndFixtureProcess):
                    self._end_fixture_process(command)
        except RunnerGone:
            pass
        self._leave(clean_exit)

    def _report(self, report: type[Report], attempt: str = "", /, **fields: Any) -> None:
        self._pipe.send(report(attempt=attempt, pid=os.getpid(), **fields))

    def _receive(self) -> Command:
        """Wait for the next command; descriptors that came with it are appended to ``_descriptors``, in order."""
        while not self._commands:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(_READ_SIZE, _RIGHTS_SIZE)
            except BlockingIOError:
                self._reap()
                if os.getppid() != self._parent:
                    raise RunnerGone from None
                continue
            except ConnectionError:
                raise RunnerGone from None
            if not data:
                raise RunnerGone
            self._commands += self._frames.feed(data)
            for _level, _kind, rights in ancillary:
                descriptors = struct.unpack(f"{len(rights) // 4}i", rights[: len(rights) // 4 * 4])
                self._descriptors += [streams.move_out_of_the_way(one) for one in descriptors]
        return decode_command(self._commands.pop(0))

    def _fork_template(self, command: ForkTemplate, descriptor: int) -> None:
        self._reap()
        warmth.prepare_to_fork(holds_fixtures=self._holds_fixtures)
        immortal.before_fork(imports=bool(command.prefix or command.preludes))
        process_id = -1
        if self._unsafe is None:
            process_id = self._fork() if self._lanes is None else self._lanes.fork(self._fork)
        immortal.after_fork(process_id)
        if process_id > 0:
            self._templates.add(process_id)
        if process_id:
            self._shared_imports_duration = 0.0  # it is reported once
            os.close(descriptor)  # where nothing can be forked, the closed Connection is the answer
            return
        pipe = channel.PipeEnd(descriptor, descriptor)
        channel.current = pipe
        template = Template(pipe, like=self, lane=None if self._lanes is None else self._lanes.enter(command))
        if command.prefix or command.preludes:
            template.grow(command)
        template.serve()

    def grow(self, command: ForkTemplate) -> None:
        """Run preludes, and the imports that several modules share; what fails here is left for others to meet.

        What forbids to fork after preludes is reported: a user has to know that every process runs them.
        """
        channels = open_channels()
        started = time.monotonic()
        self._holds_shared_imports = True
        gc.freeze()
        gc.enable()
        try:
            give_sigchld()
            random_seed.watch()
            preludes.run(command.preludes)
            import_module({"path": command.path})
            import_prefix.execute(command.prefix)
            finish_import()
            self._unsafe = what_forbids_forking(channels)
            if command.preludes and self._unsafe is not None:
                self._report(LoadFinished, duration=time.monotonic() - started, unsafe=self._unsafe)
        except BaseException as exception:
            self._unsafe = f"an exception ({exception!r:.200})"
        random_seed.look()
        take_sigchld()
        self._shared_imports_duration = time.monotonic() - started

    def _fork(self, *, collects_garbage: bool = False, keeps_socket: bool = False) -> int:
        """Fork; in the child, close what belongs to this template alone."""
        gc.freeze()
        gc.unfreeze()  # every object counts as old now, so the collector does not look at it (and copy its page) soon
        has_exit_functions = receipt.has_exit_functions()
        if collects_garbage:
            gc.enable()
        if process_id := fork_hooks.fork():
            gc.disable()
            return process_id
        if not keeps_socket:
            self._socket.close()
        if has_exit_functions:
            receipt.discard_inherited_exit_functions()
        if random_seed.seeded is not None:
            random_seed.restore()
        return 0

    def _fork_child(self, command: ForkChild) -> None:
        pipe = self._take_pipe()
        own = self._descriptors.pop(0) if command.becomes_fixture_process else None
        if command.spare is not None and self._watch.is_hung_up(pipe.reader):
            streams.close(pipe.reader, pipe.writer)  # it was ordered ahead of time, and is no longer wanted
            return
        capture = self._choose_capture(command)
        if capture != self._capture:
            self._take_capture(capture)
        # read here, not in the child: whatever a fork does itself costs it copied pages
        work = pipe.receive_work()
        if not self._has_loaded(command, work):
            streams.close(pipe.reader, pipe.writer, own)
            return
        if self._warmth is not None and command.home is not None:
            self._warmth.ask(work, command.home)
        prepared = self._prepare(command, pipe, work)
        this = os.getpid()
        process_id = self._fork(collects_garbage=self._collects_garbage, keeps_socket=own is not None)
        if not process_id:
            try:
                os.setpgid(0, 0)
                channel.current = pipe
                processes.die_with_parent(this)
                if reaper.for_tests is not None:
                    give_sigchld()
                if own is not None:
                    self._become_fixture_process(work, pipe, own)  # type: ignore[arg-type]
                worker.execute(
                    pipe,
                    work,
                    finder=self._finder,
                    fixture_snapshot=self._fixture_snapshot,
                    prepared=prepared,
                    spawned=False,
                )
            finally:
                os._exit(1)
        # do little until the child has ended: each page touched while it lives is copied
        streams.close(pipe.reader, pipe.writer, own)
        self._await_child(command.attempt, process_id, work.settings.cleanup_timeout)
        heartbeat.disarm_heartbeat()
        if self._warmth is not None and self._warmth.hear(work):
            self._warmth = None  # it has asked enough
            note_import()

    def _take_pipe(self) -> PipeEnd:
        """The end of the next child's Connections, which has come with the command."""
        return channel.PipeEnd(self._descriptors.pop(0), self._descriptors.pop(0))

    def _choose_capture(self, command: ForkChild) -> dict[str, str]:
        """Choose the files for a child's output."""
        if command.spare is None:
            return command.capture
        if REMOVED in self._sizes:
            raise RunnerGone  # no files are left for its output; the runner has another module template fork it
        return command.spare if any(self._sizes) else command.capture

    def _prepare(self, command: ForkChild, pipe: PipeEnd, work: Work) -> Prepared | PreparedCall | None:
        cleanup.prepare(work, worker.rehearse_call)
        if not self._has_loaded_all or command.home is None:
            return None
        if isinstance(work, RunFunction) and not work.settings.debug:
            from isolatedunit.child.function import PreparedCall

            return PreparedCall(work, pipe)
        if not isinstance(work, RunTest):
            return None
        receipt.filter_warnings_once(work.settings.warnings)
        if self._fixture_snapshot is not None or self._finder is None:
            return None
        return prepare(pipe, work, self._finder, command.home)

    def _become_fixture_process(self, work: SetUpFixture, pipe: PipeEnd, own: int) -> NoReturn:
        """In a child: set up fixtures, and from then on serve as a template over the Connection *own*."""
        if self._finder is None:
            self._finder = Finder()
        random_seed.watch()
        self._fixture_snapshot = fixtures.begin(pipe, work, self._finder)
        random_seed.look()
        take_sigchld()
        self._collects_garbage = gc.isenabled()
        receipt.note_import()
        gc.collect()
        template = Template(channel.PipeEnd(own, own), like=self)
        template._holds_fixtures = True
        template._kept = set(processes.children_of_this_process())
        channel.current = template._pipe
        # over the module template's Connection, which that does not use while it waits
        self._report(FixtureProcessReady, work.attempt)
        self._socket.close()
        streams.close(pipe.reader, pipe.writer)
        template.serve()

    def _end_fixture_process(self, command: EndFixtureProcess) -> NoReturn:
        """Tear down the fixtures that were set up in this process, and leave."""
        try:
            assert self._fixture_snapshot is not None
            self._take_capture(command.capture)
            pipe = self._take_pipe()
            work = pipe.receive_work()
            self._end_templates()
            give_sigchld()
            if self._collects_garbage:
                gc.enable()
            fixtures.end(pipe, work, self._fixture_snapshot)  # type: ignore[arg-type]
        finally:
            os._exit(1)

    def _end_templates(self, is_meant: Callable[[int], bool] = lambda _: True) -> None:
        """Wait until these module templates are gone; the runner has closed its Connections to them."""
        deadline = time.monotonic() + LEAVE_GRACE
        self._reap()
        while left := [one for one in self._templates if is_meant(one)]:
            if time.monotonic() > deadline:
                for one in left:
                    processes.send_signal(one, processes.SIGKILL)
            time.sleep(0.001)
            self._reap()

    def _end_strays(self, lost: int) -> None:
        """End what the *lost* module template left: all but other templates and what the fixtures had started."""
        self._end_templates(lambda one: one == lost)  # its children become this process's when it is gone
        while strays := set(processes.children_of_this_process()) - self._kept - self._templates:
            for stray in strays:
                processes.send_signal(stray, processes.SIGKILL)
                processes.reap(stray)
            time.sleep(0.001)

    def _reap(self) -> None:
        """Reap children that have ended; in a fixture process only templates, as fixtures wait for what they start."""
        if not self._holds_fixtures:
            reap_quietly()
            return
        for one in list(self._templates):
            if processes.reap(one) is not None:
                self._templates.discard(one)

    def _await_child(self, attempt: str, process_id: int, cleanup_timeout: float | None) -> None:
        status = cpu_time = peak = None
        ended = self._watch.wait(process_id)
        if ended is not None:
            wait_status, usage = ended
            status = os.waitstatus_to_exitcode(wait_status)
            cpu_time = usage.ru_utime + usage.ru_stime
            peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        leftovers, used_by_them = end_leftovers(process_id, cleanup_timeout, self._is_subreaper, self._lane is not None)
        if self._lane is not None:
            leftovers += self._lane.tidy()
        if cpu_time is not None:
            cpu_time += used_by_them + self._watch.used_by_orphans
        captured = {name: self._size_of(name) for name in self._capture}
        self._sizes = list(captured.values())
        if leftovers or status is None or any(self._sizes) or not is_plain(attempt):
            ending = {"status": status, "cpu_time": cpu_time, "peak_rss": peak}
            self._report(ChildReaped, attempt, leftovers=leftovers, captured=captured, at=time.monotonic(), **ending)
            return
        form = self._forms.get(len(attempt)) or self._make_form(len(attempt), captured)
        measured = {b"status": status, b"cpu_time": cpu_time, b"peak_rss": peak}
        about = {b"attempt": attempt.encode("ascii"), b"pid": os.getpid(), b"at": time.monotonic()}
        self._pipe.send_frames(form % {**about, **measured})

    def _make_form(self, length: int, captured: dict[str, int]) -> bytes:
        """Make the report for children whose attempts have names of this length, and that left and wrote nothing."""
        told = {name: OPEN[name] for name in ("pid", "status", "cpu_time", "peak_rss", "at")}
        reaped = ChildReaped(attempt=open_name(length), leftovers=[], captured=captured, **told)
        self._forms[length] = make_form(length, reaped)
        return self._forms[length]

    def _take_capture(self, capture: dict[str, str]) -> None:
        if "stacks" in self._captured:
            os.close(self._captured["stacks"])
        self._capture = capture
        self._forms.clear()  # they name the files
        self._captured = {"stdout": 1, "stderr": 2}
        stacks = streams.take_capture(capture)
        if stacks is not None:
            self._captured["stacks"] = stacks

    def _size_of(self, name: str) -> int:
        """The size of one of the capture files, in bytes; `REMOVED` if a test removed it."""
        try:
            status = os.fstat(self._captured[name])
        except OSError:
            return 0
        return status.st_size if status.st_nlink else REMOVED

    def _has_loaded(self, command: ForkChild, work: Work) -> bool:
        """Load what the child needs, unless it is loaded; returns False if nothing can be forked from the result."""
        if command.home is None:
            return True
        is_loaded = self._finder is not None
        for source in command.sources:  # a generator is a function more, whose pages are copied
            is_loaded = is_loaded and repr(source) in self._tried
        if is_loaded:
            return True
        cleanup.import_needed(work)
        return self._load(command, work.settings.preload)

    def _load(self, command: ForkChild, preload: list[str]) -> bool:
        """Import what the children need; returns False if nothing can be forked from the result."""
        self._report(LoadStarted, command.attempt)
        channels = open_channels()
        started = time.monotonic()
        if self._finder is None:
            self._finder = Finder()
        gc.freeze()
        if self._collects_garbage:
            gc.enable()
        give_sigchld()
        random_seed.watch()
        try:
            preludes.run(preload)  # unless the template that this one is a fork of has run them
            import_module(command.home or {})
            for source in command.sources:
                self._tried.add(repr(source))
                self._finder.load(source)
            preludes.load_sdks(command.home or {})
        except BaseException:
            self._has_loaded_all = False  # the child meets it again and reports it as its test's error
        random_seed.look()
        self._collects_garbage = gc.isenabled()
        note_import()
        finish_import()
        unsafe = what_forbids_forking(channels)
        take_sigchld()
        if self._lane is not None:
            self._lane.note()
        took, self._shared_imports_duration = self._shared_imports_duration, 0.0
        duration = time.monotonic() - started
        self._report(LoadFinished, command.attempt, duration=duration, shared_imports_duration=took, unsafe=unsafe)
        return unsafe is None

    def _leave(self, clean_exit: bool) -> NoReturn:
        try:
            receipt.save_lines()  # before functions for the exit, as coverage.py does
            if self._finder is not None or self._holds_shared_imports:
                atexit._run_exitfuncs()
                receipt.flush_standard_streams()
            end_all_below(LEAVE_GRACE if clean_exit else LEAVE_GRACE / 5)
            # the runner may only have closed its Connection
            if self._scratch is not None and not clean_exit and is_orphaned(self._parent):
                processes.remove_tree(self._scratch)
        finally:
            os._exit(0 if clean_exit else 1)
