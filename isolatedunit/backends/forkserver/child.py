"""A child that a template forks, from the order to the end of the last process that it left behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from isolatedunit.backends.capture import Capture
from isolatedunit.backends.connections import TheirEnd, open_channel
from isolatedunit.backends.contract import ChildSpec
from isolatedunit.backends.forkserver.template_pool import TemplatePool
from isolatedunit.backends.forkserver.templates import ModuleTemplate
from isolatedunit.errors import SpawnError
from isolatedunit.model.moments import NEVER
from isolatedunit.model.results import ExitStatus, Output, SpawnInfo
from isolatedunit.protocol.channel import Channel
from isolatedunit.protocol.messages import (
    ChildReady,
    ChildReaped,
    FixtureProcessReady,
    ForkChild,
    LoadFinished,
    LoadStarted,
    Report,
)
from isolatedunit.system import processes
from isolatedunit.system.stacks import ask_for_stacks


class ForkedChild:
    """A child that a template of *pool* forks; *closed* is called with it when it has been closed.

    The template waits for the process, so its Connection is the child's sentinel.
    """

    def __init__(self, pool: TemplatePool, spec: ChildSpec, closed: Callable[[ForkedChild], object]) -> None:
        self.process_id: int | None = None
        self.look_again_at = NEVER
        self.status: ExitStatus | None = None
        self.gone_at: float | None = None
        self.channel: Channel
        self._pool = pool
        self._spec = spec
        self._closed = closed
        self._below = spec.scope  # the fixture process that the template is a fork of
        self._template: ModuleTemplate | None = None
        self._ordered_from: ModuleTemplate | None = None
        self._capture: Capture
        self._loading = False
        self._waits_for_shared_imports = False
        self._kills = 0
        self._wrote = False

    @property
    def attempt(self) -> str:
        """The attempt that the child is for."""
        return self._spec.attempt

    @property
    def sentinel(self) -> Any:
        """The template's Connection; None while the child has no template."""
        return None if self._template is None else self._template.connection

    @property
    def spawn_info(self) -> SpawnInfo:
        """When the child was forked: after an import, after fixtures or right after the start."""
        if self._spec.scope or self._spec.becomes:
            return SpawnInfo(self._pool.start_method, self._spec.fork_after)
        return SpawnInfo(self._pool.start_method, "start" if self._home() is None else "import")

    def _home(self) -> dict[str, Any] | None:
        """What the template has to import for this child; None for nothing."""
        if self._spec.scope or self._spec.fork_after == "start" or self._pool.is_unsafe(self._spec.home):
            return None
        return self._spec.home

    def begin(self) -> None:
        """Order a template to fork the child; raises `SpawnError`."""
        home = self._home()
        theirs = self._open_channel()
        try:
            key = self._pool.key_of(self._spec, home)
            template = self._pool.take_template(key, self._spec)
            try:
                self._order(template, home, theirs)
            except OSError:
                # an idle template may have been killed meanwhile; whether it was shows only when it is used
                self._pool.drop_template(template)
                template = self._pool.take_template(key, self._spec, new=True)
                self._order(template, home, theirs)
        except (OSError, SpawnError) as exception:
            self.channel.close()
            lost = isinstance(exception, SpawnError) and exception.fixtures_lost
            raise SpawnError(f"there is no template to fork from: {exception}", fixtures_lost=lost) from exception
        finally:
            theirs.close()
        self._template, self._capture = template, template.capture
        if template.shared_imports is not None and not template.own_number:
            # The template with the shared imports may import for a while before it forks this one. Nobody reports
            # that time as loading, and it would count as a spawn that takes too long.
            self._waits_for_shared_imports = True
            self.look_again_at = 0.0

    def _open_channel(self) -> TheirEnd:
        """Make the pipes to and from the child and put its work into one of them; returns the child's end."""
        try:
            self.channel, theirs = open_channel()
        except OSError as exception:
            raise SpawnError(f"no pipe to a child could be created: {exception}") from exception
        try:
            self.channel.send(self._spec.command)
        except MemoryError:
            self.channel.close()
            theirs.close()
            raise
        return theirs

    def _order(self, template: ModuleTemplate, home: dict[str, Any] | None, theirs: TheirEnd) -> None:
        template.connection.send(self._order_to(template, home), *theirs.descriptors)

    def _order_to(self, template: ModuleTemplate, home: dict[str, Any] | None, **more: Any) -> ForkChild:
        sources = list(self._spec.sources) if home is not None else []
        template.note_order(sources)
        return ForkChild(attempt=self._spec.attempt, home=home, sources=sources, capture=template.capture.paths, **more)

    # ---- ordered ahead

    def order_after(self, before: ForkedChild) -> bool:
        """Have the template of *before* fork this child as soon as that one is gone; False if it could not at once."""
        template, home = before._template, self._home()
        if template is None or template.successor is not None or template.home != self._pool.key_of(self._spec, home):
            return False
        if not template.has_loaded(self._spec.sources):
            return False
        template.spare = template.spare or self._pool.new_capture()
        try:
            theirs = self._open_channel()
        except (SpawnError, MemoryError):
            return False
        try:
            order = self._order_to(template, home, spare=template.spare.paths)
            template.connection.send(order, *theirs.descriptors)
        except (OSError, MemoryError):
            self.channel.close()
            return False
        finally:
            theirs.close()
        self._ordered_from = template
        template.successor = self
        return True

    def take_over(self) -> None:
        """The one before is gone, and this child's attempt begins. Raises `SpawnError`."""
        if self._template is None:
            # the template was lost with the one before, and never came to this one
            self._ordered_from = None
            self.channel.close()
            self.begin()
        elif self._template.has_news:
            # what this child did was heard together with the end of the one before, and no sentinel will announce it
            self.look_again_at = 0.0

    def take_template(self, template: ModuleTemplate) -> None:
        """The one before is gone: *template* forks this child now, or has done so already."""
        self._template, self._capture = template, template.capture

    def withdraw(self) -> None:
        """Cancel a child that was ordered: its template does not fork it, or is ended if it has.

        Closing our ends of the child's pipes is what cancels it, since the template looks for that before it forks.
        Whether it looked before or after cannot be known, so the template is not used again.
        """
        self.channel.close()
        template = self._ordered_from
        if self._template is not None:
            self._template.is_spoiled = True
            self._give_back_template()
        elif template is not None and template.successor is self:
            template.is_spoiled = True
            template.successor = None

    def look(self, now: float) -> list[Report]:
        """Find out from the template how the child is; returns what it reports about loading the child's module."""
        template = self._template
        if template is None:
            return []
        news = self._news_of_its_own()
        for report in template.hear():
            if isinstance(report, ChildReady):
                template.note_ready(report)
            elif isinstance(report, LoadStarted):
                self._loading = True
                news.append(report)
            elif isinstance(report, LoadFinished):
                self._loading = False
                if report.unsafe is not None:
                    self._begin_again(report.unsafe)
                    return news
                news.append(report)
            elif isinstance(report, (ChildReaped, FixtureProcessReady)):
                self._note_end(report)
                return news
        if template.connection.ended:
            news += self._lose_template(template)
        return news

    def _news_of_its_own(self) -> list[Report]:
        """What follows from the state of things, and no process reports."""
        self.look_again_at = NEVER
        if not self._waits_for_shared_imports:
            return []
        self._waits_for_shared_imports = False
        return [LoadStarted(attempt=self._spec.attempt, pid=0)]

    def _begin_again(self, why: str | None, *, is_unsafe: bool = True) -> None:
        """Make the child once more. If its home is unsafe to fork from, it imports that itself this time."""
        self._loading = False
        if is_unsafe:
            assert self._spec.home is not None
            self._pool.mark_unsafe(self._spec.home, why)
        self._drop_template()
        self.channel.close()
        try:
            self.begin()
        except SpawnError:
            self._vanish()

    def _vanish(self) -> None:
        self.status = ExitStatus()
        self.look_again_at = 0.0

    def _note_end(self, report: ChildReaped | FixtureProcessReady) -> None:
        assert self._template is not None and isinstance(report, ChildReaped)
        peak, leftovers = report.peak_rss, tuple(report.leftovers)
        if report.status is None:
            self.status = ExitStatus(peak_rss=peak, leftovers=leftovers)
        else:
            known = processes.describe_end(report.status, report.cpu_time, peak)
            self.status = ExitStatus(known.exit_code, known.signal, known.cpu_time, peak, leftovers)
        self.gone_at = report.at
        self._template.note_loaded()
        if any(report.captured.values()):
            # the attempt wrote to its files or removed them: they stay its own, and the next child gets others
            self._wrote = True
            self._template.capture, self._template.spare = self._template.spare or self._pool.new_capture(), None
        self._give_back_template()

    def _give_back_template(self) -> None:
        """Pass the template on to the child that it forks next, or else back to the pool."""
        assert self._template is not None
        template, self._template = self._template, None
        successor, template.successor = template.successor, None
        if template.is_spoiled:
            self._pool.end_template(template)
        elif successor is not None:
            successor.take_template(template)
        else:
            self._pool.return_template(template)

    def _lose_template(self, template: ModuleTemplate) -> list[Report]:
        """The template is gone: the test killed it, or the import that it was busy with ended it."""
        self._drop_template()
        heard = self.channel.receive_rest() if self._ordered_from is template else []
        if self._ordered_from is template and not self.channel.received:
            # It ended before it came to this child, which has never been heard of. Had the loop heard it earlier, there
            # would be nothing left to hear now, and the test would begin a second time.
            self._ordered_from = None
            self._begin_again(None, is_unsafe=False)
            return []
        if template.shared_imports is not None and not template.own_number:
            # It never existed. The template with the shared imports was to fork it, and was ended by one of them, or
            # must not fork after them; then it just closes the Connection.
            self._pool.give_up(template.shared_imports)
            self._begin_again(None, is_unsafe=False)
            return []
        self._wrote = True
        if self._loading:
            if not self._kills:
                # The import ended the template, which nobody waits for. In the child, it ends a process whose exit
                # status is known, and the attempt reports how.
                self._begin_again(None)
                return []
            assert self._spec.home is not None
            self._pool.mark_unsafe(self._spec.home, None)
        self._pool.end_orphans(template, self._below)
        self._vanish()
        return heard

    def _drop_template(self) -> None:
        if self._template is not None:
            self._pool.drop_template(self._template)
            self._template = None

    def _known_id(self) -> int | None:
        """The process that the child reports to be, if the kernel finds it: a test may report any number."""
        if self._template is None or self._template.process_id is None or self.process_id is None:
            return None
        return processes.find_child(self._template.process_id, self.process_id)

    @property
    def loading_process(self) -> int | None:
        """The template's process, as long as that imports the child's module."""
        return self._template.process_id if self._loading and self._template is not None else None

    def nudge(self) -> bool:
        """Ask for a heartbeat; False if the child sleeps in the kernel."""
        known = self._known_id()
        return known is None or processes.nudge(known)

    def dump_stacks(self) -> None:
        """Have every thread of the child write its stack, or of the template if that is still loading."""
        target = self._known_id() or self.loading_process
        if target is not None:
            ask_for_stacks(target)

    def terminate(self) -> None:
        """Ask the child to end. While there is none, its template is killed together with what is below it."""
        known = self._known_id()
        if known is None:
            self.kill()
        else:
            processes.terminate_group(known)

    def kill(self) -> None:
        """Kill the child and all that it started; from the second time on, or while it loads, its template, too."""
        self._kills += 1
        template = self._template
        if template is None or template.process_id is None:
            if template is not None:
                # the template has not even been forked, so what hangs is the process that was to fork it
                if template.shared_imports is not None:
                    self._pool.give_up(template.shared_imports)
                elif self._spec.scope:
                    self._pool.kill_fixture_process(self._spec.scope)
                self._drop_template()
                self._vanish()
            return
        below = processes.processes_below(template.process_id)
        if template.successor is not None and template.has_reaped(self._spec.attempt):
            # the child is gone: what is below the template now may be its successor, which must not be killed for it
            self.look_again_at = 0.0
            return
        processes.kill_all(below)
        if self._kills > 1 or self.process_id is None:
            processes.send_signal(template.process_id, processes.SIGKILL)

    def read_output(self, cuts: Sequence[dict[str, int] | None]) -> tuple[list[Output], str]:
        """The output and the stacks; files that stayed empty, as the template reported, are not even opened."""
        if self.status is not None and not self._wrote:
            return [Output()] * max(1, len(cuts)), ""
        return self._capture.read(cuts)

    def read_more(self, seen: dict[str, int]) -> list[tuple[str, str]]:
        """The output beyond the bytes that *seen* counts; updates *seen*."""
        return self._capture.read_more(seen)

    def processes(self) -> list[int]:
        """The ids of the child and of all processes below it; empty until the child has reported its own."""
        known = self._known_id()
        return [] if known is None else [known, *(one.pid for one in processes.processes_below(known))]

    def written(self) -> int:
        """How many bytes are in its template's files, which are the child's alone once it has written to them."""
        return 0 if self._template is None else self._capture.size

    def close(self) -> None:
        """Close the Connection, and remove files that nobody writes to any more."""
        self.channel.close()
        self._drop_template()
        if self._wrote:
            self._capture.label = self._spec.label
            self._capture.remove()
        self._closed(self)
