"""Mistakes on the command line: without these tests, somebody could be sent to an option that there is not."""

from __future__ import annotations

import contextlib
import io
import unittest

from isolatedunit.cli.parser import Parser, make_parser, make_subcommand_parser
from isolatedunit.cli.suggestions import FROM_OTHER_RUNNERS, NEEDLESS


def complaint(parser: Parser, *arguments: str) -> str:
    """What a parser prints about arguments that it does not understand."""
    printed = io.StringIO()
    with contextlib.redirect_stderr(printed), contextlib.suppress(SystemExit):
        parser.read(arguments)
    return printed.getvalue()


class RephraseTest(unittest.TestCase):
    def test_no_word_of_argparse(self) -> None:
        parser = Parser(prog="isolatedunit")
        parser.add_argument("-l", "--limit", type=int)
        parser.add_argument("--json")
        parser.add_argument("--shell", choices=("bash",))
        parser.add_argument("report", metavar="REPORT")
        for arguments, said in (
            (["--limit", "x", "file"], "--limit: invalid value 'x'; expected a whole number."),
            (["file", "--json"], "--json: its value is missing; --help describes it."),
            (["file", "-l"], "--limit: its value is missing; --help describes it."),
            ([], "REPORT is missing; --help describes it."),
        ):
            with self.subTest(arguments):
                self.assertTrue(complaint(parser, *arguments).endswith(f"isolatedunit: {said}\n"))
        said = complaint(parser, "file", "--shell", "sh").replace("'bash'", "bash")  # Python 3.14 has no quotes here
        self.assertTrue(said.endswith("isolatedunit: --shell: invalid value 'sh'; expected one of bash.\n"), said)


class UnknownOptionTest(unittest.TestCase):
    def test_what_is_meant(self) -> None:
        for arguments, said in (
            (["--proces-timeout", "5"], "unknown option --proces-timeout; did you mean --process-timeout?"),
            (["test_x", "--isol=class"], "unknown option --isol; did you mean --isolation?"),
            (["--retry"], "unknown option --retry; isolatedunit calls it --retries."),
            (["--retry-"], "write out which you mean: --retry-backoff, --retry-delay, --retry-on."),
            (["-x"], "unknown option -x; isolatedunit calls it --failfast."),
            (["-n4", "test_x"], "unknown option -n; isolatedunit calls it -j."),
            (["--maxfail=2"], "unknown option --maxfail; isolatedunit calls it --max-failures."),
            (["--forked"], "unknown option --forked; leave it out: every test has a process of its own already."),
            (["-rA"], "unknown option -rA; leave it out: the end of a run lists what failed."),
            (["--hmtl"], "unknown option --hmtl; did you mean --html?"),
            (["--tb=short"], "unknown option --tb; --help lists those that there are."),
            (["--no-header"], "unknown option --no-header; --help lists those that there are."),
            (["--zzz"], "unknown option --zzz; --help lists those that there are."),
        ):
            with self.subTest(arguments):
                self.assertEqual(complaint(make_parser(), *arguments).count("\n"), 1)
                self.assertIn(said, complaint(make_parser(), *arguments))

    def test_every_name_of_others_has_one_of_ours(self) -> None:
        ours = make_parser()._option_string_actions
        theirs = [name for names in FROM_OTHER_RUNNERS.values() for name in names]
        self.assertLessEqual(FROM_OTHER_RUNNERS.keys(), ours.keys())
        self.assertEqual({*theirs, *NEEDLESS} & ours.keys(), set())
        self.assertEqual(len({*theirs, *NEEDLESS}), len(theirs) + len(NEEDLESS))

    def test_a_command_knows_only_its_own(self) -> None:
        parser = make_subcommand_parser("leaks", "List leaks.")
        parser.add_argument("report")
        parser.add_argument("--accept", action="store_true")
        self.assertEqual(
            complaint(parser, "a", "--acept"), "isolatedunit leaks: unknown option --acept; did you mean --accept?\n"
        )
        self.assertIn("unknown option -n; --help lists", complaint(parser, "a", "-n", "3"))
        self.assertIn("unexpected argument 'b'", complaint(parser, "a", "b"))


if __name__ == "__main__":
    unittest.main()
