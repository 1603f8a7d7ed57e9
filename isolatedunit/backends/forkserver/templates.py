"""The runner's view of templates: what each of them has done so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Any, Protocol

from isolatedunit.backends.capture import Capture
from isolatedunit.backends.connections import TemplateConnection
from isolatedunit.protocol.messages import ChildReady, ChildReaped, LoadFinished, Report
from isolatedunit.system import processes


class Successor(Protocol):
    """The child that a template will fork by itself as soon as the one before is gone."""

    @property
    def attempt(self) -> str:
        """The attempt that it is for."""

    def take_template(self, template: ModuleTemplate) -> None:
        """The one before is gone, and the template belongs to this child."""


class ModuleTemplate:
    """A template that tests are forked from, one at a time.

    *home* is what it has imported, or the name of the fixture process that it is a fork of. *shared_imports* is the
    template that it was forked from, or None if that is the base template or a fixture process. *spare* are the files
    for the output of the *successor*, should there be anything in those of the child before. *is_spoiled* means that
    the template has begun a child that nobody wants any more.
    """

    def __init__(
        self, connection: TemplateConnection, home: str, capture: Capture, shared_imports: SharedImports | None
    ) -> None:
        self.connection = connection
        self.home = home
        self.capture = capture
        self.shared_imports = shared_imports
        self.process_id: int | None = None
        self.own_number = 0
        self.spare: Capture | None = None
        self.successor: Successor | None = None
        self.is_spoiled = False
        self._reports: deque[Report] = deque()
        self._ordered: set[str] = set()
        self._loaded: set[str] | None = None

    def note_ready(self, report: ChildReady) -> None:
        """The template has reported that it is there, under the number that it has in its own namespace."""
        if not self.own_number:
            self.own_number, self.process_id = report.pid, self.connection.sender(report.pid)

    def hear(self) -> list[Report]:
        """What the template has reported up to the first report about its successor, which is kept with the rest."""
        self._reports += self.connection.receive()
        heard = []
        while self._reports and (self.successor is None or self._reports[0].attempt != self.successor.attempt):
            heard.append(self._reports.popleft())
        return heard

    @property
    def has_news(self) -> bool:
        """Whether there are kept reports, or the template has ended: its Connection will not become readable again."""
        return bool(self._reports) or self.connection.ended

    def has_reaped(self, attempt: str) -> bool:
        """Whether the template has waited for this attempt's child, and so may have forked the next."""
        self._reports += self.connection.receive()
        return any(isinstance(report, ChildReaped) and report.attempt == attempt for report in self._reports)

    def note_order(self, sources: Collection[dict[str, Any]]) -> None:
        """The template was told to load these."""
        self._ordered.update(map(repr, sources))

    def note_loaded(self) -> None:
        """The template has loaded all that it was told to."""
        self._loaded = set(self._ordered)

    def has_loaded(self, sources: Collection[dict[str, Any]]) -> bool:
        """Whether a child that needs these can be forked at once."""
        return self._loaded is not None and self._loaded.issuperset(map(repr, sources))


class FixtureProcess:
    """A process that has set up fixtures, and forks templates that find them set up.

    It is a child of *template*, which waits for its end. *below* names the fixture process that *template* is itself a
    fork of, as a class's is of its module's; it is empty if there is none.
    """

    def __init__(self, connection: TemplateConnection, template: ModuleTemplate, below: str) -> None:
        self.connection = connection
        self.template = template
        self.below = below

    @property
    def is_gone(self) -> bool:
        """Whether its end of the Connection is closed."""
        return self.connection.is_closed


class SharedImports:
    """A template that has imported what several modules begin with; their templates are forks of it.

    The one that has run the preludes is one, too, and all others are forks of it. *unsafe* is why nothing can be forked
    from it.
    """

    def __init__(self, connection: TemplateConnection) -> None:
        self.connection = connection
        self.process_id: int | None = None
        self.failed = False
        self.unsafe: str | None = None

    def hear(self) -> None:
        """Take note of what it reports: which process it is, and that nothing can be forked from it."""
        for report in self.connection.receive():
            if isinstance(report, ChildReady) and self.process_id is None:
                self.process_id = self.connection.sender(report.pid)
            elif isinstance(report, LoadFinished):
                self.unsafe = report.unsafe

    def give_up(self) -> None:
        """Fork nothing from it any more, and kill it: it may hang in one of its imports."""
        self.hear()
        self.failed = True
        self.connection.close()
        if self.process_id is not None:
            processes.send_signal(self.process_id, processes.SIGKILL)
