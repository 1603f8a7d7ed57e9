"""The messages between a parent and its child: plain values, carried as JSON.

Two closed sets. *Commands* go from the parent to a child and are imperative; *reports* go from a child to its parent
and are in the past tense. Every message names the attempt it belongs to (``run/test#attempt``) and every report the
process that sent it, since a test may fork and return twice.

The parent never unpickles what a child sent: a child may be corrupt. :func:`decode` therefore checks all of a
message, as `isolatedunit.model.schema` does, and raises :class:`ProtocolError` for what is none. A child believes its
parent: :func:`decode_command` checks nothing.

This module is imported in every child, also in a freshly spawned one, so it imports next to nothing.
"""

from __future__ import annotations

from isolatedunit.errors import ProtocolError
from isolatedunit.model.schema import Typed, read, trust
from isolatedunit.model.subtests import SUBTEST_KEYS
from isolatedunit.protocol.child_settings import ChildSettings
from isolatedunit.protocol.plain_json import from_json, scan_json, to_json

TYPE_CHECKING = False  # as type checkers read it, without importing typing into every child
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeVar

_DEEPEST = 200
"""How deep lists and objects may be nested: what is decoded here is also encoded, copied and shown later, and each of
these takes more of the stack than decoding does."""

ATTACHMENT = "isolatedunit.attachment"
"""The name of the value that is an attachment: a dictionary with its ``name``, ``data`` in base64, and ``is_text``."""


class Message(Typed):
    """What a parent sends to a child, or a child to its parent."""


if TYPE_CHECKING:
    MessageT = TypeVar("MessageT", bound=Message)


class Command(Message):
    """An instruction from a parent to a child."""

    attempt: str = ""


class Prepare(Command):
    """Become a child of this run: the first command to a spawned interpreter.

    *role* is ``template``, ``worker`` or ``checkpoint``. *capture* names the files for ``stdout``, ``stderr`` and
    ``stacks``; a stream that it does not name stays as it is. *scratch* is the run's own directory, *coverage* that for
    records of which lines ran, if any. *patched_by_gevent* names the modules in which gevent has replaced functions in
    the runner's process, and is to in the child. With *ignores_children* tests find SIGCHLD ignored, as the user had
    it. *hash_seed* is what PYTHONHASHSEED is to be from now on, None to unset it: the interpreter was started with that
    of the run. *bytecode* is the folder for what children compile and Python keeps nowhere, empty if there is none. A
    *sandboxed* template puts what it forks into namespaces. *environment* are the variables set up for the run. With
    *warm*, templates learn from one another what tests need. With *immortal*, what a base template has loaded becomes
    immortal. With *keeps_path*, the interpreter's own path follows *sys_path*.
    """

    role: str
    sys_path: list[str]
    argv: list[str]
    directory: str
    own_session: bool
    capture: dict[str, str]
    scratch: str
    coverage: str | None = None
    patched_by_gevent: list[str] = []  # noqa: RUF012 - a default like any other; a message's fields are not changed
    ignores_children: bool = False
    hash_seed: str | None = None
    bytecode: str = ""
    sandboxed: bool = False
    environment: dict[str, str] = {}  # noqa: RUF012 - as above
    warm: bool = False
    immortal: bool = False
    keeps_path: bool = False


class Work(Command):
    """The work of a child, which it does as its *settings* say before it ends."""

    settings: ChildSettings


class CollectTests(Work):
    """List the tests that *source* names (see :mod:`isolatedunit.collection.addresses`), in order.

    *known_bad* has an entry for each module that ended an earlier collector: the cause, which is empty for an
    exception, and a text about it.
    *imports_anew*: more than one process will import the modules of the tests to run them. *locates*: the file and line
    of each test are wanted.
    """

    source: dict[str, Any]
    known_bad: dict[str, dict[str, str]]
    imports_anew: bool = False
    locates: bool = False


class RunTest(Work):
    """Run these tests, one after another, as one ``unittest.TestSuite``."""

    tests: list[dict[str, Any]]


class RunFunction(Work):
    """Call *function*, which is pickled by dill together with its arguments, in base64.

    If it is large, it is in *function_file* instead, and a large value goes to a file whose path begins with
    *value_file*. *name* is its name in tracebacks and reports. *environment*, *directory* and *sys_path* are the
    caller's at the moment of the call; the directory is None if it did not exist any more. What the template has not
    done yet comes first: importing the modules of *preload*, and calling the *initializers*, each of which is
    pickled with its arguments.
    """

    function: str
    name: str
    environment: dict[str, str]
    directory: str | None
    sys_path: list[str]
    preload: list[str]
    initializers: list[str]
    value_file: str
    function_file: str | None = None


class SetUpFixture(Work):
    """Run the fixture that *test* needs, and become the fixture process that its tests are forked from.

    *kind* is ``module`` for ``setUpModule`` and ``class`` for ``setUpClass``.
    """

    kind: str
    test: dict[str, Any]


class TearDownFixture(Work):
    """Tear down the fixture that this process has set up, run its cleanups, and end."""


class Reply(Command):
    """The answer to the `Requested` with this *correlation*: a value, or an *error* that says why there is none.

    *pickled* is the value pickled by dill, in base64, if it is more than plain data.
    """

    correlation: int
    value: dict[str, Any] | list[Any] | str | int | float | bool | None = None
    pickled: str | None = None
    error: str | None = None


class ForkTemplate(Command):
    """Have a template fork another template; the descriptor that comes along is the new one's Connection.

    If there is a *prefix*, the new template first executes these import statements, with the directories of
    *path* in front of ``sys.path``. If there are *preludes*, it runs these: each is a module to import, perhaps with
    ``:`` and the name of a function to call.

    In a sandbox, the base template makes it a lane, whose files are in the new directory *lane*. The lane has the
    directories of *private* to itself, and sees only the entries that each lists; with *own_network*, a network, too.
    If there is anything in *writable*, these paths and the directories in *private* are all that can be changed in it.
    """

    preludes: list[str] = []  # noqa: RUF012
    prefix: list[str] = []  # noqa: RUF012 - a default like any other; a message's fields are not changed
    path: list[str] = []  # noqa: RUF012
    lane: str = ""
    private: dict[str, list[str]] = {}  # noqa: RUF012
    own_network: bool = False
    writable: list[str] = []  # noqa: RUF012


class ForkChild(Command):
    """Have a template import *home*, load *sources* unless that is done, and fork a child.

    The descriptor that comes along is the child's own Connection, in which its work is waiting.
    If that is a `SetUpFixture`, the child *becomes_fixture_process*, and a second descriptor comes along: the
    Connection that the child then has as a template.

    With *spare* this is an order for the child after the current one, given while that still runs. Nothing is forked if
    the Connection's other end has been closed meanwhile, and output goes to the files that *spare* names if the
    current child has written to the others.
    """

    home: dict[str, Any] | None = None
    sources: list[dict[str, Any]]
    capture: dict[str, str]
    spare: dict[str, str] | None = None
    becomes_fixture_process: bool = False


class EndFixtureProcess(Command):
    """Have a fixture process do the `TearDownFixture` that waits in the Connection that comes along, and end."""

    capture: dict[str, str]


class EndStrays(Command):
    """Have a fixture process end what the *template* with this process id, which is lost, left running."""

    template: int


class Exit(Command):
    """Have a template end all processes below it, and then itself."""


class Report(Message):
    """A report of a child to its parent. *pid* is the process that sent it, which may be a fork of the child."""

    attempt: str
    pid: int


class ChildReady(Report):
    """The child runs, and holds all that it needs after its test.

    *at* is when that was, in seconds of the system's monotonic clock: the report may be read much later.
    """

    at: float | None = None


class ImportStarted(Report):
    """The collector begins to import *module*, which is to blame if the collector's process ends now.

    If *is_prelude*, a child begins to run the prelude of that name; an empty name says that it is over.
    """

    module: str
    is_prelude: bool = False


class TestsCollected(Report):
    """The next tests of the list, in order; with *last* there are no more, and *error* says why there is no list.

    *warnings* are what the user should know about their classes. *unknown* has an entry for each name of the source
    that no test has (see `isolatedunit.collection.plan.UnknownName`); if there is any, no tests are listed. *culprit*
    is the module without which there would be a list.
    """

    tests: list[dict[str, Any]]
    last: bool = False
    error: str | None = None
    culprit: str | None = None
    warnings: list[str] = []  # noqa: RUF012 - a default like any other
    unknown: list[dict[str, Any]] = []  # noqa: RUF012


class FixtureStarted(Report):
    """The fixture of a class or module with this id of unittest's begins."""

    fixture: str


class TestStarted(Report):
    """The test with this place in the command's list begins."""

    test: int


class OutcomeNoted(Report):
    """unittest called a method of the result other than ``addSuccess``. Sent at once: the child may not live longer.

    *kind* is the name of that method (``addFailure`` ...). *test* is None for a *fixture*. *text* is the formatted
    traceback or the reason of a skip, *message* its last line, *exception* the name of the exception's class. *subtest*
    has ``id``, ``description`` and ``parameters``, its ``message`` if there is one, and the representation of each
    parameter under `PARAMETER` and its name. *expected* and *actual* show both sides of a comparison that failed,
    *source* the lines around, and *diff* is what unittest left out of the text. The kind ``addSubTest`` of a subtest
    that passed is sent only if the settings say so.
    """

    test: int | None = None
    fixture: str | None = None
    kind: str
    text: str = ""
    message: str = ""
    exception: str | None = None
    subtest: dict[str, str] | None = None
    expected: str | None = None
    actual: str | None = None
    source: str = ""
    diff: str = ""

    KINDS = ("addError", "addExpectedFailure", "addFailure", "addSkip", "addSubTest", "addUnexpectedSuccess")

    def makes_sense(self) -> bool:
        """Whether a subtest has all that distinguishes it from others."""
        if self.subtest is None:
            return self.kind != "addSubTest"
        return self.subtest.keys() >= SUBTEST_KEYS


class TestEnded(Report):
    """The test ended, with its own cleanups; those of fixtures may still come.

    *duration* is in seconds, as unittest measures it. *counted* is whether unittest called
    ``startTest`` (some versions do not for a skipped test), *succeeded* whether it called ``addSuccess``.
    *written* has the bytes of output of each stream so far, if several tests share the process. A test that was not
    *found* did not run: there is none with its name, or its module could not be imported.
    """

    test: int
    duration: float
    counted: bool
    succeeded: bool
    written: dict[str, int] | None = None
    found: bool = True

    def makes_sense(self) -> bool:
        """Whether there is a size for each stream, or none at all."""
        return self.written is None or self.written.keys() >= {"stdout", "stderr"}


class WorkFinished(Report):
    """The receipt: all fixtures and cleanups have run, and no outcome will change any more.

    With *clean*, nothing is left in the process that has to be cleaned up, so no `HandlesCleaned` follows; *looked*
    means that handles were tracked, and none was opened. The process had imported and found its tests after
    *found_after* seconds, and was done after *elapsed*. *peak_rss* is in bytes, None if the system does not report it;
    *own_memory* are the bytes resident at the end that the process shares with no other, if that was asked for. With
    *stopped*, ``shouldStop`` was set, and tests at the end of the list did not run; with *interrupted*, an exception
    that unittest lets through had ended it. *fixtures* has the seconds that each fixture took, by unittest's id. Of a
    class that shares its process since it has standing, *dirty* is what the last test left, *files* are those of the
    project that were loaded, and *late* the project's modules that a test has imported.

    *unsafe* says why nothing can be forked from what a fixture left behind, which has been torn down again. It is
    empty if the fixture was not found: the tests will run into that, and report it, themselves.
    """

    clean: bool = False
    looked: bool = False
    found_after: float = 0.0
    elapsed: float = 0.0
    peak_rss: int | None = None
    own_memory: int | None = None
    stopped: bool = False
    interrupted: bool = False
    unsafe: str | None = None
    fixtures: dict[str, Any] | None = None
    dirty: str | None = None
    files: list[str] | None = None
    late: list[str] | None = None


class CallNoted(Report):
    """A fact about a `RunFunction`: its return value, the exception that it raised, or the session of its SDK.

    *pickled* is the value, and *raised* the exception, pickled by dill, in base64: only the caller unpickles them. A
    large value is in the file that the command names, with the number *saved* at the end. *session* has ``id``,
    ``behavior`` and ``found``.
    """

    pickled: str | None = None
    saved: int | None = None
    raised: str | None = None
    session: dict[str, Any] | None = None


class ProgressReported(Report):
    """The test reported its progress: a *fraction* from 0 to 1, and a *text*."""

    fraction: float
    text: str = ""


class ValueReported(Report):
    """The test sent a value, under a *name* that its author chose."""

    name: str
    value: dict[str, Any] | list[Any] | str | int | float | bool | None = None
    pickled: str | None = None


class Requested(Report):
    """The test sent a request to the runner's handler for *name*; the `Reply` has the same *correlation*."""

    correlation: int
    name: str
    value: dict[str, Any] | list[Any] | str | int | float | bool | None = None
    pickled: str | None = None


class HandlesCleaned(Report):
    """The child has cleaned up what its tests left behind in it: *handle_stats* says what that was.

    It may have ``opened``, ``closed``, ``cleaned`` and ``forced``, which are numbers of handles, lists of ``leaks`` and
    ``state_changes``, and ``incomplete``, which says why the child could not look. Leaks are counted by the engine.
    """

    handle_stats: dict[str, Any]


class Heartbeat(Report):
    """The child's interpreter still runs Python code; *phase* is a key of `phases.PHASES`, or empty."""

    phase: str = ""


class ChildFailed(Report):
    """isolatedunit's own code failed in the child; *text* is the traceback."""

    text: str


class LoadStarted(Report):
    """A template begins to import what its children need."""


class LoadFinished(Report):
    """The template has imported what its children need, in *duration* seconds.

    *unsafe* says why no child can be forked from what the import left behind. *shared_imports_duration* are the seconds
    that the template before this one took for the imports that several modules share; only the first template that is
    forked from it reports them.
    """

    duration: float
    shared_imports_duration: float = 0.0
    unsafe: str | None = None


class FixtureProcessReady(Report):
    """A child has become a fixture process, from which templates can be forked; its own template waits for its end."""


class ChildReaped(Report):
    """A template's child ended.

    *status* is that of ``os.waitstatus_to_exitcode``, or None if somebody else has waited for the child; *cpu_time* is
    in seconds and *peak_rss* in bytes, from the kernel's own accounting. *leftovers* are the processes that outlived
    the child until the template ended them, and the files that it had changed where a sandbox undoes that. *captured*
    are the sizes in bytes of the files that its output went to, negative for one that was removed. *at* is when all
    this was done, in seconds of the system's monotonic clock.
    """

    status: int | None = None
    cpu_time: float | None = None
    peak_rss: int | None = None
    leftovers: list[dict[str, Any]]
    captured: dict[str, int]
    at: float | None = None


def _closed_set(family: type[MessageT]) -> dict[str, type[MessageT]]:
    """The messages of a family by their names; a class that has subclasses is no message itself."""
    found: dict[str, type[MessageT]] = {}
    for cls in family.__subclasses__():
        found |= _closed_set(cls) or {cls.__name__: cls}
    return found


COMMANDS: dict[str, type[Command]] = _closed_set(Command)
REPORTS: dict[str, type[Report]] = _closed_set(Report)


def encode(message: Message) -> bytes:
    """The message as JSON, in ASCII: UTF-8 has no place for the lone surrogates that a test may print."""
    return to_json({"type": type(message).__name__, **message.__dict__})


def decode(data: bytes, known: Mapping[str, type[MessageT]]) -> MessageT:
    """The message in *data*, which has to be one of the closed set *known*; raises `ProtocolError`."""
    try:
        text = data.decode("utf-8")
        values, end = scan_json(text, 0)
        if end != len(text):
            raise ValueError(f"{len(text) - end} characters follow the document")
        if len(data) > _DEEPEST and data.count(b"[") + data.count(b"{") > _DEEPEST and _is_deep(values):
            raise ValueError("it is nested too deeply")
        cls = known[values.pop("type")]
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError, StopIteration) as exception:
        raise ProtocolError(f"expected one of {', '.join(known)}, not {data[:120]!r}") from exception
    try:
        return read(cls, values)
    except ValueError as exception:
        raise ProtocolError(str(exception)) from exception


def decode_command(data: bytes) -> Command:
    """The command in *data*, from the runner, which is of the same version: a child believes it."""
    values: dict[str, Any] = from_json(data)
    return trust(COMMANDS[values.pop("type")], values)


def _is_deep(value: Any) -> bool:
    """Whether lists and objects are nested deeper than `_DEEPEST`."""
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        inner = [item.values() if type(item) is dict else item for item in level if type(item) in (dict, list)]
        level = [item for items in inner for item in items]
        if not level:
            return False
    return True
