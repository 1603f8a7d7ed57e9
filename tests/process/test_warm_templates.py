"""Templates do once what several of their children did: without these tests, too much or nothing of it."""

from __future__ import annotations

import io
import os
import sys
import textwrap
import unittest
from unittest import mock

from isolatedunit import IsolatedTestRunner, TestInstance
from tests.support.projects import ProjectTestCase

HELPER = """
    import re
    import sys

    def use():
        was = "plistlib" in sys.modules, any(key[1] == "some+thing" for key in re._cache if type(key) is tuple)
        import plistlib
        re.compile("some+thing")
        return was
    """

SUITE = """
    import unittest
    import helper

    class Warm(unittest.TestCase):
        pass

    for number in range(6):
        def test(self):
            print(*helper.use())
        setattr(Warm, f"test_{number}", test)
    """

COLD = "False False\n"
WARM = "True True\n"


@unittest.skipUnless(hasattr(os, "fork"), "there are no templates here")
class WarmTest(ProjectTestCase):
    def printed(self, *flags: str) -> list[str]:
        ended = self.run_here("--start-method", "forkserver", "-j", "1", "--history", "none", *flags)
        self.assertEqual(ended.exit_code, 0, ended.output)
        return [test["stdout"] for _, test in sorted(ended.tests().items())]

    def setUp(self) -> None:
        super().setUp()
        self.write("helper.py", HELPER)

    def test_what_two_have_done_is_there_for_the_others_and_for_the_next_run(self) -> None:
        self.write("test_warm.py", SUITE)
        self.assertEqual(self.printed(), [COLD] * 2 + [WARM] * 4)
        self.assertEqual(self.printed(), [WARM] * 6)
        self.assertEqual(self.printed("--warm", "off"), [COLD] * 6)

    def test_a_module_that_has_changed_is_learned_anew(self) -> None:
        self.write("test_warm.py", SUITE)
        self.printed()
        self.write("test_warm.py", SUITE + "\n    # changed")
        self.assertEqual(self.printed(), [COLD] * 2 + [WARM] * 4)

    def test_what_several_templates_did_is_there_for_the_next_and_for_new_modules(self) -> None:
        for number in range(6):
            self.write(f"test_{number}.py", SUITE.replace("range(6)", "range(2)"))
        first = self.printed()
        self.assertEqual((first[:4], first[-4:]), ([COLD] * 4, [WARM] * 4))
        self.write("test_a.py", SUITE.replace("range(6)", "range(1)"))
        for arguments, expected in ((), WARM), (("--warm", "off"), COLD):
            self.assertEqual(self.printed(*arguments)[-1], expected)

    def test_nothing_is_imported_for_tests_that_remove_a_module(self) -> None:
        removes = "print(*helper.use())\n            helper.sys.__dict__['mod' + 'ules'].pop('ast', None)"
        self.write("test_warm.py", "import ast\n" + textwrap.dedent(SUITE.replace("print(*helper.use())", removes)))
        for cold in (2, 0):
            self.assertEqual(self.printed(), [COLD] * cold + ["False True\n"] * (6 - cold))

    def test_a_module_that_looks_at_what_is_loaded_finds_nothing_more(self) -> None:
        self.write("test_warm.py", SUITE + "\n    import sys\n    BEFORE = len(sys.modules)\n")
        self.assertEqual(self.printed(), [COLD] * 2 + ["False True\n"] * 4)

    def test_an_expression_that_warns_does_so_in_each_test(self) -> None:
        self.write(
            "test_warns.py",
            """
            import re
            import unittest

            class Warns(unittest.TestCase):
                pass

            for number in range(5):
                def test(self):
                    with self.assertWarns(FutureWarning):
                        re.compile("[[a]")
                setattr(Warns, f"test_{number}", test)
            """,
        )
        self.assertEqual(self.printed(), [""] * 5)

    def test_what_a_test_says_in_its_place_is_not_believed(self) -> None:
        """A test that writes the file itself has nothing of the user's imported, and breaks nothing."""
        self.write("harm.py", "print('imported')\n")
        self.write(
            "test_liar.py",
            """
            import glob
            import os
            import unittest
            from isolatedunit.protocol import channel

            class Liar(unittest.TestCase):
                pass

            for number in range(5):
                def test(self, number=number):
                    path = channel.current.receipt + ".warm"
                    said = '{"modules": ["harm", "os"], "expressions": [["(", 0], 5]}' if number else "{"
                    with open(path, "w") as file:
                        file.write(said)
                setattr(Liar, f"test_{number}", test)
            """,
        )
        self.assertEqual(self.printed(), [""] * 5)

    def test_calls_find_what_the_first_have_imported_of_ours(self) -> None:
        def has_fixtures(test: TestInstance) -> bool:
            was = "isolatedunit.sdk.factory" in sys.modules
            test.sdk.close()
            return was

        # what an earlier run of this test has learned is not to be found
        environment = mock.patch.dict(os.environ, XDG_CACHE_HOME=self.directory)
        environment.start()
        self.addCleanup(environment.stop)
        with IsolatedTestRunner(io.StringIO(), start_method="forkserver", max_concurrent_processes=1) as runner:
            given = [runner.run_isolated_test(has_fixtures).unwrap() for _ in range(4)]
        self.assertEqual(given, [False, False, True, True])
