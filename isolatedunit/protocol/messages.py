"""What a parent and a child say to each other: plain values, carried as JSON.

Two closed sets. *Commands* go from the parent to a child and are imperative; *reports* go from a
child to its parent and are in the past tense. Every message names the attempt it belongs to
(``run/test#attempt``) and every report the process that sent it, since a test may fork and return
twice.

The parent never unpickles what a child sent: a child may be corrupt. :func:`decode` therefore checks all of a
message, as `isolatedunit.model.schema` does, and raises :class:`ProtocolError` for what is none.

This module is imported in every child, also in a freshly spawned one, so it imports next to nothing.
"""

from __future__ import annotations

import json

from isolatedunit.errors import ProtocolError
from isolatedunit.model.schema import Typed, read
from isolatedunit.model.subtests import SUBTEST_KEYS
from isolatedunit.protocol.child_settings import ChildSettings

TYPE_CHECKING = False  # as type checkers read it, without importing typing into every child
if TYPE_CHECKING:
    from typing import Any

_DEEPEST = 200
"""How many lists and objects may be inside of one another: what is decoded here must also be encoded,
copied and shown again, which takes more of the stack than decoding."""


def _plain(value: object) -> dict[str, Any]:
    """The fields of a typed value inside of a message."""
    if isinstance(value, Typed):
        return value.__dict__
    raise TypeError(f"{value!r:.80} cannot be sent")


_encode_json = json.JSONEncoder(separators=(",", ":"), default=_plain).encode
_make_encoder = getattr(json.encoder, "c_make_encoder", None)
if _make_encoder is not None:
    # what JSONEncoder.encode makes anew for each document, and uses once
    _make_chunks = _make_encoder(None, _plain, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, True)

    def _encode_json(o: Any) -> str:
        return "".join(_make_chunks(o, 0))


# without the decoder's own handling of white space around a document, which takes longer than a short document
_scan_json = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


class Message(Typed):
    """Something that a parent says to a child, or a child to its parent."""


class Command(Message):
    """Something a parent tells a child to do."""

    attempt: str = ""


class Prepare(Command):
    """The first words to a spawned interpreter: become a child of this run.

    *role* is ``template`` or ``worker``. *capture* names the files for ``stdout``, ``stderr`` and
    ``stacks``; what it does not name stays as it is. *scratch* is the run's own directory. *coverage*
    is where to save which lines ran, None where nobody wants to know.
    """

    role: str
    sys_path: list[str]
    argv: list[str]
    directory: str
    own_session: bool
    capture: dict[str, str]
    scratch: str
    coverage: str | None = None


class Work(Command):
    """What a child is there for: it does this as its *settings* say, reports on it, and ends."""

    settings: ChildSettings


class CollectTests(Work):
    """List the tests that *source* names (see :mod:`isolatedunit.collection.addresses`), in order.

    *known_bad* has, for modules whose import ended an earlier collector, what happened then.
    """

    source: dict[str, Any]
    known_bad: dict[str, dict[str, str]]


class RunTest(Work):
    """Run these tests, one after another, as one ``unittest.TestSuite``."""

    tests: list[dict[str, Any]]


class RunFunction(Work):
    """Call the *function* that dill carried, in base64, with the arguments that it carried along.

    *name* is what tracebacks and reports call it.
    """

    function: str
    name: str


class SetUpFixture(Work):
    """Run the fixture that *test* needs, ``setUpModule`` or ``setUpClass`` as *kind* (``module``, ``class``)
    says, and become the stage that lanes are forked from."""

    kind: str
    test: dict[str, Any]


class TearDownFixture(Work):
    """Run the fixture's counterpart and the cleanups, and end."""


class Reply(Command):
    """The answer to the `Requested` with this *correlation*: a value, or why there is none.

    *pickled* is a value in dill's bytes, in base64, where plain data were not enough.
    """

    correlation: int
    value: dict[str, Any] | list[Any] | str | int | float | bool | None = None
    pickled: str | None = None
    error: str | None = None


class ForkTemplate(Command):
    """To a template: fork a template; the descriptor that comes along is its Connection.

    Where there is a *prefix*, it first executes these import statements, with the directories of
    *path* in front of ``sys.path``.
    """

    prefix: list[str] = []  # noqa: RUF012 - a default like any other; a message's fields are not changed
    path: list[str] = []  # noqa: RUF012


class ForkChild(Command):
    """To a template: import *home* and load *sources* if that is not done yet, and fork a child.

    The descriptor that comes along is the child's own Connection, in which its work waits already.
    Where that is a `SetUpFixture`, the child *becomes_fixture_process*, and the Connection that it then has
    as a template comes along, too.

    With *spare* it is an order ahead, given while the child before still runs: nothing is forked if the
    Connection's other end is closed by then, and output goes to the files that *spare* names if anything is
    in the others.
    """

    home: dict[str, Any] | None = None
    sources: list[dict[str, Any]]
    capture: dict[str, str]
    spare: dict[str, str] | None = None
    becomes_fixture_process: bool = False


class EndFixtureProcess(Command):
    """To a stage: do the `TearDownFixture` that waits in the Connection that comes along, and end."""

    capture: dict[str, str]


class EndStrays(Command):
    """To a stage: the *lane* with this process id is lost; end what that left running."""

    lane: int


class Exit(Command):
    """To a template: end what is below you, and leave."""


class Report(Message):
    """Something a child tells its parent. *pid* is the process that said so."""

    attempt: str
    pid: int


class ChildReady(Report):
    """The child runs and has taken hold of what it needs.

    *at* tells since when, in seconds of the system's monotonic clock: it may be heard later.
    """

    at: float | None = None


class ImportStarted(Report):
    """The collector begins to import *module*: should it die now, *module* is why."""

    module: str


class TestsCollected(Report):
    """Some more of the tests, in order; *last* tells that these were the last ones."""

    tests: list[dict[str, Any]]
    last: bool = False
    error: str | None = None


class FixtureStarted(Report):
    """A fixture of a class or module runs now; *fixture* is unittest's id for it."""

    fixture: str


class TestStarted(Report):
    """The test with this place in the command's list runs now."""

    test: int


class OutcomeNoted(Report):
    """unittest told the result something else than a success; sent at once, as it may be the last word.

    *kind* is the result's method (``addFailure`` ...). *test* is None for a *fixture*. *text* is
    the formatted traceback or the reason of a skip, *message* its last line, *exception* the name
    of the exception's class. *subtest* has ``id``, ``description`` and ``parameters``, its ``message`` if there is
    one, and behind `PARAMETER` and its name how each parameter looks.
    """

    test: int | None = None
    fixture: str | None = None
    kind: str
    text: str = ""
    message: str = ""
    exception: str | None = None
    subtest: dict[str, str] | None = None

    KINDS = ("addError", "addExpectedFailure", "addFailure", "addSkip", "addUnexpectedSuccess")

    def makes_sense(self) -> bool:
        """Whether a subtest has all that tells it from others."""
        return self.subtest is None or self.subtest.keys() >= SUBTEST_KEYS


class TestEnded(Report):
    """The test ended, its own cleanups done; the fixtures' may still come.

    *duration* is in seconds, as unittest measures it. *counted* tells whether unittest called
    ``startTest`` (some versions do not for a skipped test), *succeeded* whether ``addSuccess``.
    *written* has, where others share the process, how many bytes of output there are so far.
    """

    test: int
    duration: float
    counted: bool
    succeeded: bool
    written: dict[str, int] | None = None

    def makes_sense(self) -> bool:
        """Whether both streams were looked at, if any was."""
        return self.written is None or self.written.keys() >= {"stdout", "stderr"}


class WorkFinished(Report):
    """The receipt: all fixtures and cleanups ran, and nothing that was noted will change.

    *peak_rss* is in bytes, None where the system does not tell; *own_memory* are those of the bytes
    resident at the end that the process shares with no other, where that was asked for. *stopped* tells that
    ``shouldStop`` was set, so tests at the end of the list did not run. *clean*: nothing is left
    in the process that would have to be looked after, so that no `HandlesCleaned` follows. After
    *found_after* seconds the process had imported and found its tests, after *elapsed* it was here.
    *unsafe* tells why nothing can be forked from what a fixture left behind; it is torn down again.
    Empty, it says that there is no fixture to be found, as the tests will meet and tell themselves.
    *fixtures* has the seconds that each fixture took, by unittest's id, if there was any.
    """

    clean: bool = False
    found_after: float = 0.0
    elapsed: float = 0.0
    peak_rss: int | None = None
    own_memory: int | None = None
    stopped: bool = False
    unsafe: str | None = None
    fixtures: dict[str, Any] | None = None


class CallNoted(Report):
    """Something about a `RunFunction`: what it gave, and the session of its SDK.

    *pickled* is dill's bytes in base64, which nobody opens but who asked for them; *session* has ``id``,
    ``behavior`` and ``found``.
    """

    pickled: str | None = None
    session: dict[str, Any] | None = None


class ProgressReported(Report):
    """The test tells how far it is: *fraction* from 0 to 1, and a *text*."""

    fraction: float
    text: str = ""


class ValueReported(Report):
    """The test tells something under a *name* that its author chose."""

    name: str
    value: dict[str, Any] | list[Any] | str | int | float | bool | None = None
    pickled: str | None = None


class Requested(Report):
    """The test asks the runner's handler for *name*, and waits for the `Reply` with its *correlation*."""

    correlation: int
    name: str
    value: dict[str, Any] | list[Any] | str | int | float | bool | None = None
    pickled: str | None = None


class HandlesCleaned(Report):
    """What the test left behind in its own process, and what became of it."""

    handle_stats: dict[str, Any]


PHASES = {
    "_callSetUp": "setUp",
    "_callTestMethod": "body",
    "_callTearDown": "tearDown",
    "_callCleanup": "cleanup",
    "_handleClassSetUp": "setUpClass",
    "_tearDownPreviousClass": "tearDownClass",
    "_handleModuleFixture": "setUpModule",
    "_handleModuleTearDown": "tearDownModule",
}
"""The phases by the functions of unittest that run them."""


class Heartbeat(Report):
    """The child's interpreter still gets to run Python code; *phase* is a key of `PHASES`, or empty."""

    phase: str = ""


class ChildFailed(Report):
    """Our own code failed in the child, or it could not do what it was told: *text* tells why."""

    text: str


class LoadStarted(Report):
    """A template begins to import what its children shall have."""


class LoadFinished(Report):
    """The import is done. *unsafe* tells why no child can be forked from what it left behind.

    *shared_imports_duration* is what the template that this one was forked from took to import what several
    modules begin with; only the first that is forked from it tells that.
    """

    duration: float
    shared_imports_duration: float = 0.0
    unsafe: str | None = None


class FixtureProcessReady(Report):
    """A lane's child is a stage now: its lane waits for its end, and lanes can be forked from it."""


class ChildReaped(Report):
    """A template's child ended.

    *status* is as ``waitstatus_to_exitcode`` has it, or None where somebody else took it;
    *cpu_time* is in seconds and *peak_rss* in bytes, from the kernel's own accounting.
    *leftovers* are the processes that outlived the child until the template ended them. *captured*
    are the sizes of the files that its output went to, negative for one that was removed. *at* is when
    all that was done, in monotonic seconds.
    """

    status: int | None = None
    cpu_time: float | None = None
    peak_rss: int | None = None
    leftovers: list[dict[str, Any]]
    captured: dict[str, int]
    at: float | None = None


def _closed_set(family: type[Message]) -> dict[str, type[Message]]:
    """The messages of a family by their names; classes that only others are made from are none."""
    found: dict[str, type[Message]] = {}
    for cls in family.__subclasses__():
        found |= _closed_set(cls) or {cls.__name__: cls}
    return found


COMMANDS = _closed_set(Command)
REPORTS = _closed_set(Report)


def encode(message: Message) -> bytes:
    """The message as JSON, in ASCII, so that lone surrogates of a test's text get through."""
    return _encode_json({"type": type(message).__name__, **message.__dict__}).encode("ascii")


def decode(data: bytes, known: dict[str, type[Message]]) -> Message:
    """The message of the closed set *known* that *data* holds; raises `ProtocolError`."""
    try:
        text = data.decode("utf-8")
        values, end = _scan_json(text, 0)
        if end != len(text):
            raise ValueError(f"{len(text) - end} characters follow the document")
        if data.count(b"[") + data.count(b"{") > _DEEPEST and _is_deep(values):
            raise ValueError("it is nested too deeply")
        cls = known[values.pop("type")]
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError, StopIteration) as exception:
        raise ProtocolError(f"expected one of {', '.join(known)}, not {data[:120]!r}") from exception
    try:
        return read(cls, values)
    except ValueError as exception:
        raise ProtocolError(str(exception)) from exception


def _is_deep(value: Any) -> bool:
    """Whether more than `_DEEPEST` lists and objects are inside of one another."""
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        inner = [one.values() if type(one) is dict else one for one in level if type(one) in (dict, list)]
        level = [one for several in inner for one in several]
        if not level:
            return False
    return True
