"""What somebody may have meant who gave an option or a command that there is not.

Imported only when there is such a mistake.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence
from itertools import pairwise

from isolatedunit.config.options import TABLE

FROM_OTHER_RUNNERS = {
    "-j": (
        *("--concurrency", "--max-workers", "--maxWorkers", "--numprocesses", "--parallel", "--processes"),
        *("--test-threads", "--threads", "--workers", "-n", "-w"),
    ),
    "-k": ("--filter", "--filter-expr", "--filterset", "--grep", "--testNamePattern", "-E"),
    "--coverage": ("--cov", "--with-coverage"),
    "--exclude": ("--deselect", "--ignore", "--ignore-glob", "--skip"),
    "--exclude-tag": ("--exclude-tags", "--skip-tags"),
    "--failed-first": ("--ff",),
    "--failfast": ("--bail", "--exitfirst", "--fail-fast", "--stop", "-x"),
    "--group-limit": ("--test-group",),
    "--hunt-leaks": ("--huntrleaks", "-R"),
    "--json": ("--json-report", "--json-report-file"),
    "--junit-xml": ("--junit", "--junitxml", "--with-xunit", "--xunit-file"),
    "--last-failed": ("--failed", "--failing", "--lf", "--only-failures", "--onlyFailures", "--rerun-failing"),
    "--list": ("--co", "--collect", "--collect-only", "--list-tests", "--listTests"),
    "--locals": ("--show-locals", "--showlocals", "-l"),
    "--max-failures": ("--max-fail", "--maxfail"),
    "--memory-limit": ("--memlimit", "-M"),
    "--no-capture": ("--capture", "--nocapture"),
    "--parallel-by": ("--dist",),
    "--preset": ("-P",),
    "--process-timeout": ("--per-test-timeout", "--test-timeout", "--testTimeout", "--timeout"),
    "--repeat": ("--count", "--repeat-each", "--repeats", "--stress-count"),
    "--retries": ("--reruns", "--retry"),
    "--retry-delay": ("--reruns-delay",),
    "--run-timeout": ("--global-timeout", "--session-timeout"),
    "--seed": ("--random-order-seed", "--random-seed", "--randomly-seed", "--randseed"),
    "--serve": ("--open", "--ui"),
    "--shard": ("--partition", "--splits"),
    "--show-output": ("--show-capture",),
    "--shuffle": ("--random", "--random-order", "--randomize", "-r"),
    "--slowest": ("--timing", "--timings"),
    "--start-directory": ("--start-dir", "--test-path", "--where"),
    "--tag": ("--marker", "--markers", "--tags", "-m"),
    "--until-failure": ("--forever", "--until-fail", "-F"),
}
"""The names that other runners have for what ours does: pytest and its plug-ins, nose, Django, stestr, trial, CPython's
own test runner, nextest, Jest and Vitest."""

NEEDLESS = {
    "--boxed": "every test has a process of its own already",
    "--forked": "every test has a process of its own already",
    "--no-cov": "coverage is measured only with --coverage",
    "--no-fail-fast": "a run goes on after a failure unless --failfast is given",
    "--noinput": "nothing asks",
    "--no-input": "nothing asks",
    "--pyargs": "dotted names of installed modules are understood",
    "-ra": "the end of a run lists what failed",
    "-rA": "the end of a run lists what failed",
    "-rf": "the end of a run lists what failed",
}

_LIKE_ENOUGH = 0.72
"""How alike two names are, without their hyphens in front, for one to be taken for a misspelling of the other."""

_COMMANDS_OF_OTHERS = {"help": "--help", "version": "--version"}


_OF_ARGPARSE = (
    (r"argument (?:\S+/)?(\S+): expected one argument", r"\1: its value is missing; --help describes it."),
    (r"argument (?:\S+/)?(\S+): invalid int value: ('.*')", r"\1: invalid value \2; expected a whole number."),
    (
        r"argument (?:\S+/)?(\S+): invalid choice: ('.*') \(choose from (.*)\)",
        r"\1: invalid value \2; expected one of \3.",
    ),
    (r"the following arguments are required: (.*)", r"\1 is missing; --help describes it."),
)


def explain_unknown(unknown: str, flags: Collection[str]) -> str:
    """One sentence about an option that is none of *flags*, and what it may have been meant to be."""
    name = unknown.partition("=")[0]
    if name[:1] == "-" != name[1:2] and name not in NEEDLESS:
        name = name[:2]  # its value may follow without a space
    if name in NEEDLESS:
        return f"unknown option {name}; leave it out: {NEEDLESS[name]}."
    ours = next((ours for ours, theirs in FROM_OTHER_RUNNERS.items() if name in theirs), None)
    if ours in flags:
        return f"unknown option {name}; isolatedunit calls it {ours}."
    long = sorted(flag for flag in flags if flag.startswith("--"))
    abbreviated = [flag for flag in long if flag.startswith(name)] if name.startswith("--") else []
    near = abbreviated or [f"--{word}" for word in _words_like(name.strip("-"), [flag.strip("-") for flag in long])]
    if len(near) == 1:
        return f"unknown option {name}; did you mean {near[0]}?"
    if near:
        return f"unknown option {name}; write out which you mean: {', '.join(near)}."
    return f"unknown option {name}; --help lists those that there are."


def _words_like(word: str, words: Collection[str]) -> list[str]:
    return difflib.get_close_matches(word, words, 1, _LIKE_ENOUGH)


def rephrase(message: str) -> str:
    """What argparse says about a mistake, in the words of all other messages; unchanged if it is something else."""
    for pattern, sentence in _OF_ARGPARSE:
        if found := re.fullmatch(pattern, message):
            return found.expand(sentence)
    return message


def explain_unknown_name(name: str, sentence: str, commands: Collection[str], argv: Sequence[str] = ()) -> str:
    """One sentence about a name that no test has: *sentence*, unless it looks like one of the commands.

    In *argv*, the command line, it may also stand where the value of an option was meant to be.
    """
    optional = {option.metadata["flags"][0] for option in TABLE.values() if "flag_alone" in option.metadata}
    before = next((before for before, word in pairwise(argv) if word == name and before in optional), None)
    if before is not None:
        return f"there is no test {name}; if it is the value of {before}, write {before}={name}."
    if name in _COMMANDS_OF_OTHERS:
        return f"there is no test and no command {name}; did you mean: isolatedunit {_COMMANDS_OF_OTHERS[name]}?"
    begun = [command for command in commands if command.startswith(name)] if len(name) > 1 else []
    near = begun or difflib.get_close_matches(name, commands, 1, 0.7)
    if not near:
        return sentence
    if near[0] == name:
        return f"there is no test {name}; a command comes first: isolatedunit {name}"
    return f"there is no test and no command {name}; did you mean: isolatedunit {near[0]}?"
