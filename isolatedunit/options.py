"""Every option of isolatedunit, in one table: `Options`.

A field's metadata say how its value is read, what its flag and its help are, and whether a class or
a method may override it. The command line, the configuration files, the environment, the keyword
arguments of `IsolatedTestRunner` and the documentation are all made from it.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any

from isolatedunit.errors import OptionError
from isolatedunit.leaks import KINDS, read_policy

Reader = Callable[[Any], Any]


def seconds(value: Any) -> float | None:
    """A positive number of seconds, or None for no limit."""
    if value is None or (isinstance(value, str) and value.lower() == "none"):
        return None
    if isinstance(value, bool):
        raise ValueError
    number = float(value)
    if not 0 < number < math.inf:
        raise ValueError
    return number


def some_seconds(value: Any) -> float:
    """A positive number of seconds."""
    number = seconds(value)
    if number is None:
        raise ValueError
    return number


_UNITS = {"": 1, "B": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


def size(value: Any) -> int | None:
    """A number of bytes, also as ``512M``, or None for no limit."""
    if value is None or (isinstance(value, str) and value.lower() == "none"):
        return None
    if isinstance(value, bool):
        raise ValueError
    if isinstance(value, str):
        text = value.strip().upper().removesuffix("IB").removesuffix("B")
        unit = text[-1:] if text[-1:] in _UNITS and text[-1:].isalpha() else ""
        number = float(text.removesuffix(unit)) * _UNITS[unit]
    else:
        number = float(value)
    if not 1 <= number < math.inf:
        raise ValueError
    return int(number)


def jobs(value: Any) -> int | str:
    """``auto``, or how many."""
    if value == "auto":
        return "auto"
    number = whole(value)
    if number < 1:
        raise ValueError
    return number


def whole(value: Any) -> int:
    """A whole number, not negative."""
    if isinstance(value, (bool, float)):
        raise ValueError
    number = int(value)
    if number < 0:
        raise ValueError
    return number


def whole_or_none(value: Any) -> int | None:
    """A whole number, not negative, or None."""
    return None if value is None else whole(value)


_WORDS_FOR_YES = ("true", "yes", "on", "1")
_WORDS_FOR_NO = ("false", "no", "off", "0")


def flag(value: Any) -> bool:
    """Yes or no."""
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    if word not in _WORDS_FOR_YES + _WORDS_FOR_NO:
        raise ValueError
    return word in _WORDS_FOR_YES


def text(value: Any) -> str | None:
    """Any text, or None."""
    if value is not None and not isinstance(value, str):
        raise ValueError
    return value


def texts(value: Any) -> tuple[str, ...]:
    """Several texts; in one text, one a line."""
    if isinstance(value, str):
        return tuple(line.strip() for line in value.splitlines() if line.strip())
    if not all(isinstance(item, str) for item in value):
        raise ValueError
    return tuple(value)


def patterns(value: Any) -> tuple[str, ...]:
    """Patterns of test names; what has no ``*`` in it may stand anywhere in the name, as unittest has it."""
    return tuple(pattern if "*" in pattern else f"*{pattern}*" for pattern in texts(value))


def text_or_none(value: Any) -> str | None:
    """A text, or None for ``none``."""
    checked = text(value)
    return None if checked is None or checked.lower() == "none" else checked


def shard(value: Any) -> tuple[int, int] | None:
    """``K/N``: the K-th of N parts."""
    if value is None:
        return None
    if isinstance(value, tuple):
        part, of = value
    elif isinstance(value, str):
        part, of = value.split("/")
    else:
        raise ValueError
    checked = whole(part), whole(of)
    if not 1 <= checked[0] <= checked[1]:
        raise ValueError
    return checked


EXPECTED: dict[Reader, str] = {
    seconds: "a number of seconds, such as 30 or 2.5, or none",
    some_seconds: "a number of seconds, such as 1 or 0.5",
    size: "a size, such as 512M or 2G, or none",
    jobs: "auto, or a whole number from 1 on",
    whole: "a whole number from 0 on",
    whole_or_none: "a whole number from 0 on",
    flag: "true or false",
    text: "a text",
    texts: "a list of texts",
    text_or_none: "the name of a file, or none",
    shard: "K/N, such as 1/4, with K from 1 to N",
    patterns: "a list of patterns",
    read_policy: f"auto, ignore, warn or fail, also for some kinds, as fail:process,thread (of {', '.join(KINDS)})",
}


class Choice:
    """Reads one of a few words."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def __call__(self, value: Any) -> str:
        """The word."""
        if value not in self.words:
            raise ValueError
        return str(value)


def _option(default: Any, read: Reader, words: str, *flags: str, per_test: bool = False, **more: Any) -> Any:
    metadata = {"read": read, "help": words, "flags": flags, "per_test": per_test, **more}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a run, or of one test in it. Times are seconds, sizes bytes."""

    # ---- unittest's own
    verbosity: int = _option(
        1,
        whole,
        "0 is quiet, 1 prints a dot a test, 2 a line a test",
        group="unittest",
        flags_set=((("-v", "--verbose"), 2, "a line a test"), (("-q", "--quiet"), 0, "no dots")),
    )
    failfast: bool = _option(False, flag, "stop on first fail or error", "-f", "--failfast", group="unittest")
    catchbreak: bool = _option(
        False, flag, "accepted as unittest's; a Ctrl-C is always caught", "-c", "--catch", group="unittest"
    )
    buffer: bool = _option(
        False, flag, "put the output of failed tests into their error text", "-b", "--buffer", group="unittest"
    )
    patterns: tuple[str, ...] = _option(
        (),
        patterns,
        "only run tests which match the given substring or pattern",
        "-k",
        metavar="PATTERN",
        group="unittest",
    )
    tb_locals: bool = _option(False, flag, "show local variables in tracebacks", "--locals", group="unittest")
    durations: int | None = _option(
        None, whole_or_none, "show the N slowest test cases (N=0 for all)", "--durations", metavar="N", group="unittest"
    )
    start_directory: str = _option(
        ".", text, "directory to start discovery", "-s", "--start-directory", metavar="DIR", group="discovery"
    )
    pattern: str = _option("test*.py", text, "pattern to match test files", "-p", "--pattern", group="discovery")
    top_level_directory: str | None = _option(
        None,
        text,
        "top level directory of the project (the start directory by default)",
        "-t",
        "--top-level-directory",
        metavar="DIR",
        group="discovery",
    )

    # ---- isolation
    isolation: str = _option(
        "test", Choice("test", "class", "module", "none"), "how much runs in one process", "--isolation", per_test=True
    )
    start_method: str = _option(
        "auto",
        Choice("auto", "spawn", "forkserver"),
        "how that process comes to be: a fresh interpreter, or a fork of a pristine template; auto is "
        "forkserver on Linux and spawn elsewhere",
        "--start-method",
        per_test=True,
    )
    fork_after: str = _option(
        "import",
        Choice("start", "import", "fixtures"),
        "when the template is forked: after the interpreter started, after it imported the test's module, or after "
        "setUpModule and setUpClass, which then run once for all of their tests",
        "--fork-after",
        per_test=True,
    )
    parallel_by: str = _option(
        "module",
        Choice("module", "class", "test"),
        "the smallest unit whose tests may run at the same time as each other",
        "--parallel-by",
    )
    max_concurrent_processes: int | str = _option(
        4,
        jobs,
        "how many processes run at the same time; auto is one for each processor that may be used",
        "-j",
        "--jobs",
        metavar="N|auto",
        alias="jobs",
    )

    # ---- time and space
    process_timeout: float | None = _option(
        30.0, seconds, "how long a test may take, its fixtures apart", "--process-timeout", metavar="S", per_test=True
    )
    spawn_timeout: float | None = _option(
        5.0,
        seconds,
        "how long a process may take to show a sign of life",
        "--spawn-timeout",
        metavar="S",
        per_test=True,
    )
    cleanup_timeout: float | None = _option(
        10.0,
        seconds,
        "how long a process may take to end after its test",
        "--cleanup-timeout",
        metavar="S",
        per_test=True,
    )
    terminate_grace: float = _option(
        2.0,
        some_seconds,
        "how long a process that is asked to end may take before it is killed",
        "--terminate-grace",
        metavar="S",
        per_test=True,
    )
    heartbeat_interval: float = _option(
        1.0,
        some_seconds,
        "how often a running child is to be heard of",
        "--heartbeat-interval",
        metavar="S",
        per_test=True,
    )
    enable_ipc: bool = _option(
        True,
        flag,
        "run without heartbeats and messages: all that a test's process tells is its receipt, in a file",
        "--no-ipc",
        per_test=True,
    )
    slow_after: float | None = _option(
        10.0, seconds, "a test that runs longer is told as slow", "--slow-after", metavar="S", per_test=True
    )
    memory_limit: int | None = _option(
        None,
        size,
        "how much memory the processes of a test may use together",
        "--memory-limit",
        metavar="SIZE",
        per_test=True,
    )
    cpu_limit: float | None = _option(
        None, seconds, "how much CPU time a test may use", "--cpu-limit", metavar="S", per_test=True
    )

    # ---- in which order, and which part
    history: str | None = _option(
        None,
        text_or_none,
        "the file that remembers how long tests took and what became of them, for the longest to begin first; or none",
        "--history",
        metavar="FILE|none",
    )
    failed_first: bool = _option(False, flag, "begin with the tests that failed the last time", "--failed-first")
    shard: tuple[int, int] | None = _option(
        None,
        shard,
        "run only the K-th of N parts that take about the same time each",
        "--shard",
        metavar="K/N",
    )

    # ---- what becomes of the results
    retries: int = _option(
        0, whole, "how often a test that did not come out well is tried again", "--retries", metavar="N", per_test=True
    )
    leaks: str = _option(
        "auto",
        read_policy,
        "what to do about what a test leaves running or open; fail:process,thread fails for these kinds and warns of "
        "others; auto warns of processes and threads, which cost nothing to find",
        "--leaks",
        metavar="auto|ignore|warn|fail[:KINDS]",
        per_test=True,
    )
    allowed_leaks: tuple[str, ...] = _option(
        (),
        texts,
        "a leak that is no matter: a pattern for its kind and identity, or for the test's id and the kind, and after "
        "a # the reason",
        "--allow-leak",
        metavar="PATTERN",
        per_test=True,
    )
    leaks_baseline: str | None = _option(
        "isolatedunit-leaks.txt",
        text_or_none,
        "a file with the leaks that are accepted, as isolatedunit leaks --accept writes it, if it is there; or none",
        "--leaks-baseline",
        metavar="FILE|none",
    )
    track_handles: str = _option(
        "auto",
        Choice("auto", "on", "off"),
        "whether files, sockets, temporary files, loops, tasks and timers that a test leaves open are looked for, and "
        "the lines that made them; auto is with --leaks warn or fail, and with HandleTrackerMixin",
        "--track-handles",
        per_test=True,
    )
    enable_process_logging: bool = _option(
        False,
        flag,
        "log the life of each process, and its output as it comes, under isolatedunit.process",
        "--process-logging",
        per_test=True,
    )
    memory_growth_limit: int | None = _option(
        None,
        size,
        "by how much a test may make its process's memory grow; more is a leak of the kind growth",
        "--memory-growth-limit",
        metavar="SIZE",
        per_test=True,
    )
    hunt_leaks: int = _option(
        0,
        whole,
        "run each test N times before it counts, and tell what grows every time: memory blocks, descriptors",
        "--hunt-leaks",
        metavar="N",
        per_test=True,
    )
    capture: bool = _option(True, flag, "let tests write straight to the terminal", "--no-capture")
    stats: bool = _option(False, flag, "print what the run's processes cost, as a table", "--stats")
    json: str | None = _option(None, text, "write the run as one JSON document", "--json", metavar="FILE")

    @property
    def tracks_handles(self) -> bool:
        """Whether a child looks for what its test left open."""
        return self.track_handles == "on" or (self.track_handles == "auto" and self.leaks.startswith(("fail", "warn")))

    def with_values(self, values: Mapping[str, Any], where: str) -> Options:
        """These options, but for *values*, which were found *where*; raises `OptionError`."""
        return replace(self, **check(values, where)) if values else self


TABLE: dict[str, Field[Any]] = {one.name: one for one in fields(Options)}
ALIASES: dict[str, str] = {one.metadata["alias"]: name for name, one in TABLE.items() if "alias" in one.metadata}
PER_TEST: frozenset[str] = frozenset(name for name, one in TABLE.items() if one.metadata["per_test"])


def check(values: Mapping[str, Any], where: str, *, allowed: Iterable[str] = TABLE) -> dict[str, Any]:
    """The values as they are to be used; raises `OptionError` for an unknown name or a wrong value."""
    checked = {}
    for key, value in values.items():
        name = ALIASES.get(key, key)
        if name not in allowed:
            known = sorted({*allowed, *(alias for alias, name in ALIASES.items() if name in allowed)})
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known)}."
            raise OptionError(f"{where}: there is no option {key!r} here; {hint}")
        checked[name] = read(name, value, f"{where}: {key}")
    return checked


def read(name: str, value: Any, where: str) -> Any:
    """The value of the option *name* as it is to be used; raises `OptionError`."""
    reader: Reader = TABLE[name].metadata["read"]
    try:
        return reader(value)
    except (ValueError, TypeError):
        raise OptionError(f"{where}: {value!r} cannot be used; give {expectation(name)}.") from None


def expectation(name: str) -> str:
    """What a value of the option has to be, for a sentence."""
    reader = TABLE[name].metadata["read"]
    if isinstance(reader, Choice):
        return f"one of {', '.join(reader.words)}"
    return EXPECTED[reader]
