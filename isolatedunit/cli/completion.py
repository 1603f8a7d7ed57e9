"""``isolatedunit completion``: the code that has a shell complete our command line, and what completes it.

argcomplete does both: the shell runs our command anew for each completion, with ``_ARGCOMPLETE`` in its environment.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from isolatedunit.cli.parser import OF_THE_COMMAND, SUBCOMMANDS, Parser, make_subcommand_parser
from isolatedunit.collection.source_files import definitions_in, files_below, module_name, top_of
from isolatedunit.config.options import TABLE, Options
from isolatedunit.config.sources import load_options
from isolatedunit.errors import OptionError

SHELLS = ("bash", "zsh", "fish")


def completion_command(arguments: Sequence[str]) -> int:
    """Print the code for the shell that *arguments* name; returns the exit code. Raises `OptionError`."""
    parser = make_subcommand_parser(
        "completion", "Print what has a shell complete options and names of tests; see the documentation for its place."
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell")
    shell = parser.read(arguments).shell
    try:
        from argcomplete.shell_integration import shellcode
    except ImportError:
        raise OptionError(
            "completion needs the package argcomplete; install it with: pip install 'isolatedunit[completion]'."
        ) from None
    print(shellcode(["isolatedunit"], shell=shell))
    return 0


def prepare() -> list[str]:
    """Have the next parser that reads a command line complete the one in the environment, and end this process.

    Returns the arguments to begin with: the subcommand, if the command line has one.
    """
    try:
        from argcomplete.finders import CompletionFinder
        from argcomplete.lexers import split_line
    except ImportError:  # there is nothing that anybody could read
        os._exit(1)

    class Finder(CompletionFinder):  # type: ignore[misc, unused-ignore]
        """Completes names also where there are options between them, which argparse itself does not read."""

        def _get_completions(self, comp_words: Any, *more: Any) -> Any:
            parser: Any = self._parser
            complete: Any = super()._get_completions
            return complete([comp_words[0], *_options_first(parser, comp_words[1:])], *more)

    def complete(parser: Parser) -> None:
        _add_completers(parser)
        Finder()(parser, always_complete_options=False)

    Parser.complete = staticmethod(complete)
    words: list[str] = split_line(os.environ["COMP_LINE"], int(os.environ["COMP_POINT"]))[3]
    first = int(os.environ["_ARGCOMPLETE"])  # the place of the first argument: there may be an interpreter before it
    if words[first : first + 1] and words[first] in SUBCOMMANDS:
        os.environ["_ARGCOMPLETE"] = str(first + 1)
        return [words[first]]
    return []


def _options_first(parser: Parser, words: list[str]) -> list[str]:
    """The words before the one to complete, names of tests last; as they are if the last one is to have a value."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            names = getattr(parser.parse_known_intermixed_args(words)[0], "tests", None) or []
    except SystemExit:
        return words
    rest = list(words)
    for name in names:
        rest.remove(name)
    return [*rest, *names]


def _add_completers(parser: Parser) -> None:
    for action in parser._actions:
        option = TABLE.get(action.dest)
        words = None if option is None else getattr(option.metadata["read"], "words", None)
        completed: Any = action
        if words is not None:
            completed.completer = lambda words=words, **_: words
        elif action.dest == "tests":
            commands = SUBCOMMANDS if parser.prog == "isolatedunit" else ()
            completed.completer = lambda prefix, commands=commands, **_: _complete_name(prefix, commands)


def _complete_name(prefix: str, commands: Iterable[str]) -> list[str]:
    try:
        options = load_options(OF_THE_COMMAND)
    except OptionError:
        options = OF_THE_COMMAND
    found = [*_paths(prefix), *_names(prefix, options), *commands]
    return [name for name in found if name.startswith(prefix)]


def _paths(prefix: str) -> Iterator[str]:
    """Folders and Python files and, behind ``::``, what is in a file."""
    path, inside, _ = prefix.partition("::")
    if inside:
        for qualified, _ in definitions_in(path) or ():
            yield f"{path}::{qualified.replace('.', '::')}"
        return
    folder = os.path.dirname(prefix)
    for name in sorted(os.listdir(folder or os.curdir)) if os.path.isdir(folder or os.curdir) else ():
        whole = os.path.join(folder, name)
        if os.path.isdir(whole) and not name.startswith((".", "__")):
            yield os.path.join(whole, "")
        elif name.endswith(".py"):
            yield whole


def _names(prefix: str, options: Options) -> Iterator[str]:
    """The names of modules and, once *prefix* is longer than that of a module, what is in that one."""
    top = top_of(options)
    for path in files_below(os.path.abspath(options.start_directory), options.pattern):
        module = module_name(path, top)
        if not prefix.startswith(f"{module}."):
            yield module
            continue
        for qualified, _ in definitions_in(path) or ():
            yield f"{module}.{qualified}"
