"""fork_after=fixtures: without these tests, fixtures could run more than once, or leak from one class to another."""

from __future__ import annotations

import json
import os

from tests.support.beyond import BEYOND
from tests.support.command_line import environment, run_python
from tests.support.fixture_projects import HEADER, SET_UP, TORN_DOWN, FixturesTestCase, of_class
from tests.support.semantics import RECORD, count, expected, record


class OnceTest(FixturesTestCase):
    def test_one_module_after_the_other(self) -> None:
        """Fixtures run once, and what they left is what each test finds; so do the cleanups that they add."""
        shared = "sys.SHARED.append(cls); assert sys.SHARED == [0, cls]"
        self.make_modules(
            {
                "once": {},
                "shared": {"setUpModule": "sys.SHARED = [0]"},
                "cleanup": {
                    "setUpClass": "cls.addClassCleanup(note, 'cleanupA of the class')\n"
                    "        unittest.addModuleCleanup(note, 'cleanupA by the class')",
                    "setUpModule": "unittest.addModuleCleanup(note, 'cleanupA of the module')",
                    "test_one": "self.addClassCleanup(note, 'cleanupA by the test')\n"
                    "        unittest.addModuleCleanup(note, 'module cleanupA by the test')",
                },
                "referred": self.only_referred(),
            }
        )
        # both classes have the module's fixture, and neither has that of the other
        classes = [self.make_class(f"shared{name}", setUpClass=shared) for name in "AB"]
        self.make_module("test_shared", *classes, setUpModule="sys.SHARED = [0]")
        ended = self.run_fixtures("-j", "1")
        self.assertEqual(ended.last_line, "16 passed, 0 failed, 0 skipped", ended.output)
        self.assertEqual(set(self.fork_afters(ended).values()), {"fixtures"})
        self.assertEqual(ended.report["run"]["fork_after"], "fixtures")  # type: ignore[index]
        noted = self.journals("once", "cleanup", "shared")
        whole = [SET_UP, *of_class("A"), *of_class("B"), TORN_DOWN]
        self.assertEqual((noted["once"], noted["shared"]), (whole, whole))
        for text in ("A of the class", "A by the class", "A of the module", "A by the test", "module A by the test"):
            self.assertEqual(noted["cleanup"].count(text), 1, text)
        self.assertEqual(noted["cleanup"][-2:], [TORN_DOWN, "A of the module"])
        for name in ("class", "module"):
            self.assertFalse(os.path.exists(os.path.join(self.directory, "made", name)))

    def only_referred(self) -> dict[str, str]:
        """A cleanup alone refers to an object that removes a directory when it goes: it does not go in each fork."""
        code = (
            "import tempfile\n"
            "        directory = tempfile.TemporaryDirectory()\n"
            "        {add}(directory.cleanup)\n"
            "        os.makedirs('made', exist_ok=True); os.symlink(directory.name, 'made/{name}')"
        )
        check = "self.assertTrue(os.path.isdir('made/class/.') and os.path.isdir('made/module/.'))"
        return {
            "setUpModule": code.format(add="unittest.addModuleCleanup", name="module").replace("        ", "    "),
            "setUpClass": code.format(add="cls.addClassCleanup", name="class"),
            "test_one": check,
            "test_two": check,
            "tearDownClass": check.replace("self.assertTrue", "assert "),
        }

    def test_side_by_side(self) -> None:
        meet = "open({mine!r}, 'w').close()\n        while not os.path.exists({other!r}): time.sleep(0.001)"
        meeting = {"test_one": meet.format(mine="1", other="2"), "test_two": meet.format(mine="2", other="1")}
        for unit in ("class", "test"):
            with self.subTest(unit):
                self.make_module("test_it")
                # tests of one class can only run at the same time, from the same fixtures, where tests are the unit
                self.make_module("test_other", self.make_class("C", **(meeting if unit == "test" else {})))
                ended = self.run_fixtures("-j", "3", "--parallel-by", unit)
                self.assertEqual(ended.last_line, "6 passed, 0 failed, 0 skipped", ended.output)
                noted = self.journal()
                expected = [
                    *of_class("A"),
                    *of_class("B"),
                    *of_class("C"),
                    *(
                        f"{step}Module of {module}"
                        for step in ("setUp", "tearDown")
                        for module in ("test_it", "test_other")
                    ),
                ]
                self.assertEqual(sorted(noted), sorted(expected))
                for name in "ABC":
                    mine = [line for line in noted if line.endswith(f" {name}") or line.startswith(f"{name}.")]
                    self.assertEqual((mine[0], mine[-1]), (f"setUpClass {name}", f"tearDownClass {name}"))

    def test_same_as_unittest(self) -> None:
        options = {"parallel_by": "test", "max_concurrent_processes": 3, "track_handles": "on"}
        told = record("isolatedunit", fork_after="fixtures", **options)
        self.assertEqual(count(told["calls"]), count(expected()["calls"]))
        self.assertEqual(told["counts"], expected()["counts"])

    def test_all_kinds_of_outcomes(self) -> None:
        """Of tests whose class has fixtures; with unittest's own outcomes for comparison."""
        self.write(
            "test_it.py",
            """
            import unittest

            class It(unittest.TestCase):
                @classmethod
                def setUpClass(cls):
                    cls.values = cls.enterClassContext(open(__file__)) if hasattr(cls, "enterClassContext") else ()
                    cls.addClassCleanup(lambda: None)

                def test_subtests(self):
                    for number in range(4):
                        with self.subTest(number=number):
                            if number == 1:
                                self.fail()
                            if number == 2:
                                self.skipTest("two")

                @unittest.expectedFailure
                def test_expected(self):
                    self.fail()

                @unittest.expectedFailure
                def test_unexpected(self):
                    pass

                @unittest.skip("never")
                def test_skipped(self):
                    pass

                def test_error(self):
                    self.addCleanup(self.fail, "cleanup")
                    1 / 0

            class Async(unittest.IsolatedAsyncioTestCase):
                @classmethod
                def setUpClass(cls):
                    cls.value = 1

                async def test_it(self):
                    self.assertEqual(self.value, 1)

            @unittest.skip("the class")
            class Skipped(unittest.TestCase):
                @classmethod
                def setUpClass(cls):
                    raise AssertionError

                def test_it(self):
                    pass
            """,
        )
        told = []
        for runner, options in (("unittest", {}), ("isolatedunit", {"fork_after": "fixtures"})):
            ended = run_python(RECORD, runner, json.dumps(options), self.directory)
            told.append(count(json.loads(ended.output)["calls"]))
        self.assertEqual(*told)

    def test_only_some_tests(self) -> None:
        """By an override of a class or of a method; those that do not want it bring their own fixtures."""
        self.write(
            "test_it.py",
            HEADER
            + """
class Case:
    @classmethod
    def setUpClass(cls):
        note(f"setUpClass {cls.__name__}")

    def test_one(self): pass
    def test_two(self): pass

from isolatedunit import IsolatedTestCase, isolated

@isolated(fork_after="fixtures")
class Decorated(Case, unittest.TestCase):
    @isolated(fork_after="import")
    def test_three(self): pass

class Attribute(Case, IsolatedTestCase):
    fork_after = "fixtures"

class Plain(Case, unittest.TestCase): pass
""",
        )
        ended = self.run_here("--history", "none")
        self.assertEqual(ended.last_line, "7 passed, 0 failed, 0 skipped", ended.output)
        noted = self.journal()
        self.assertEqual(
            {name: noted.count(name) for name in set(noted)},
            {"setUpClass Decorated": 2, "setUpClass Attribute": 1, "setUpClass Plain": 2},
        )
        made = self.fork_afters(ended)
        self.assertEqual(made["test_it.Decorated.test_one"], "fixtures")
        self.assertEqual(made["test_it.Decorated.test_three"], "import")
        self.assertEqual(made["test_it.Plain.test_one"], "import")

    def test_where_it_means_nothing(self) -> None:
        for arguments, times, made in (
            (("--start-method", "spawn"), 2, None),
            (("--isolation", "class"), 1, "import"),
            (("--isolation", "none"), 1, "import"),
        ):
            with self.subTest(arguments):
                source = self.make_class("A")
                if times == 1:  # the second test finds what the first one left
                    source = source.replace("self.assertEqual(self.state", "self.assertIsNotNone(self.state")
                self.make_module("test_it", source)
                ended = self.run_fixtures(*arguments)
                self.assertEqual(ended.last_line, "2 passed, 0 failed, 0 skipped", ended.output)
                self.assertEqual(self.journal().count("setUpClass A"), times)
                self.assertEqual(set(self.fork_afters(ended).values()), {made})
                told = ended.output.count("fork_after=fixtures has no effect with start_method=spawn")
                self.assertEqual(told, int("spawn" in arguments))

    def test_what_fixtures_print(self) -> None:
        self.make_modules(
            {
                "prints": {
                    "setUpClass": "print('said by setUpClass')",
                    "tearDownClass": "print('said', 'by tearDownClass')\n        1 / 0",
                    "test_one": "print('said by the test'); self.fail()",
                },
                "fails": {"setUpClass": "print('said', 'before it failed')\n        1 / 0"},
            }
        )
        for arguments in ((), ("-b",)):
            with self.subTest(arguments):
                ended = self.run_fixtures(*arguments)
                tests = ended.tests()
                if not arguments:
                    self.assertEqual(tests["test_prints.printsA.test_one"]["stdout"], "said by the test\n")
                    said = tests["tearDownClass (test_prints.printsA)"]["stdout"]
                    self.assertEqual(said, "said by tearDownClass\n")
                self.assertEqual(ended.output.count("said by tearDownClass"), 1)
                self.assertIn("said before it failed\n", ended.output)
                self.assertEqual(ended.output.count("said before it failed"), 1)

    def test_handles_of_fixtures_are_no_tests_leaks(self) -> None:
        self.make_module(
            "test_it",
            setUpClass="import socket; cls.server = socket.create_server(('127.0.0.1', 0))",
            tearDownClass="cls.server.close()",
            test_two="self.file = open(__file__); type(self).kept = self.file",
        )
        ended = self.run_fixtures("--leaks", "fail")
        outcomes = {test_id: (test["outcome"], test["cause"]) for test_id, test in ended.tests().items()}
        self.assertEqual(
            outcomes,
            {
                "test_it.A.test_one": ("passed", None),
                "test_it.A.test_two": ("failed", "leak"),
                "test_it.B.test_one": ("passed", None),
                "test_it.B.test_two": ("passed", None),
            },
        )
        (leak,) = ended.tests()["test_it.A.test_two"]["attempts"][0]["handle_stats"]["leaks"]
        self.assertEqual(leak["kind"], "file")

    def test_tests_of_this_process_that_travel_as_they_are(self) -> None:
        path = self.write(
            "script.py",
            HEADER
            + """
from isolatedunit import IsolatedTestRunner

class Parameterised(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        note("setUpClass")
        cls.ready = True

    def __init__(self, method="test_it", parameter=0):
        super().__init__(method)
        self.parameter = parameter

    def test_it(self):
        assert self.ready and self.parameter < 9

if __name__ == "__main__":
    suite = unittest.TestSuite([Parameterised(parameter=number) for number in range(3)])
    result = IsolatedTestRunner(fork_after="fixtures").run(suite)
    sys.exit(not result.wasSuccessful())
""",
        )
        ended = run_python(path, cwd=self.directory, env=environment())
        self.assertEqual((ended.exit_code, ended.last_line), (0, "3 passed, 0 failed, 0 skipped"), ended.output)
        self.assertEqual(self.journal(), ["setUpClass"])


CRASH = "os.kill(os.getpid(), signal.SIGSEGV)"


HANG = "time.sleep(1000)"


WAYS: dict[str, tuple[str, str, str | None]] = {
    "raise": ("raise RuntimeError('on purpose')", "error", None),
    "skip": ("raise unittest.SkipTest('on purpose')", "skipped", None),
    "exit": ("sys.exit('on purpose')", "error", None),
    "leave": ("os._exit(0)", "error", "crash"),
    "crash": (CRASH, "error", "crash"),
    "hang": (HANG, "error", "timeout"),
}


CHOSEN = {
    "setUpClass": tuple(WAYS),
    "tearDownClass": ("raise", "leave", "hang"),
    "setUpModule": ("skip", "crash", "hang"),
    "tearDownModule": ("exit", "crash"),
    "test_one": ("crash", "hang"),
}
"""Which ways are tried in which places: each in some, and in each some that differ."""

EACH = {**dict.fromkeys(CHOSEN, tuple(WAYS)), "test_one": ("crash", "hang", "leave")}
"""Those that `BEYOND` asks for."""

ALL_TESTS = ["A.test_one", "A.test_two", "B.test_one", "B.test_two"]
ALL_NOTED = [SET_UP, *of_class("A"), *of_class("B"), TORN_DOWN]


FAILING: dict[str, tuple[list[str], list[str]]] = {
    "setUpClass": (ALL_TESTS[2:], [SET_UP, "setUpClass A", *of_class("B"), TORN_DOWN]),
    "tearDownClass": (ALL_TESTS, ALL_NOTED),
    "setUpModule": ([], [SET_UP]),
    "tearDownModule": (ALL_TESTS, ALL_NOTED),
}
"""Which tests pass when the fixture fails, and what is noted."""


class FailingTest(FixturesTestCase):
    def test_ways_in_places(self) -> None:
        """There is one report of it, and everything else goes on."""
        places = {
            f"{place}_{way}": (place, way) for place, ways in (EACH if BEYOND else CHOSEN).items() for way in ways
        }
        modules = {name: {place: WAYS[way][0]} for name, (place, way) in places.items()}
        self.make_modules({**modules, "good": {}})
        ended = self.run_fixtures("-j", "5", "--process-timeout", "2")
        journals = self.journals(*places, "good")
        self.assertEqual(ended.exit_code, 1)
        self.assertEqual(self.verdicts(ended, "good"), {f"test_it.{test}": ("passed", None) for test in ALL_TESTS})
        self.assertEqual(journals["good"], ALL_NOTED)
        for name, (place, way) in places.items():
            with self.subTest(name):
                passed, noted = FAILING.get(place, (ALL_TESTS[1:], ALL_NOTED))
                verdicts = self.verdicts(ended, name)
                owner = "test_it.A" if place.endswith("Class") else "test_it"
                failed = f"{place} ({owner})" if place in FAILING else "test_it.A.test_one"
                self.assertEqual(verdicts.pop(failed), WAYS[way][1:], ended.output)
                self.assertEqual(verdicts, {f"test_it.{test}": ("passed", None) for test in passed})
                self.assertEqual(journals[name], noted)
        stack = ended.tests()["setUpClass (test_setUpClass_hang.setUpClass_hangA)"]["traceback"]
        self.assertIn("in setUpClass", stack)
        self.assertIn("test_setUpClass_hang.py", stack)

    def test_retries(self) -> None:
        """Those of a test end before its fixtures do; those of a fixture come before its tests."""
        places = ("test_one", "setUpClass", "setUpModule")
        code = "assert os.path.exists('{0}') or open('{0}', 'w').close()"
        self.make_modules({f"tries_{place}": {place: code.format(f"tried-{place}")} for place in places})
        ended = self.run_fixtures("-j", "1", "--retries", "2")
        self.assertEqual(ended.last_line, "12 passed, 0 failed, 0 skipped", ended.output)
        of_test, of_class_, of_module = self.journals(*(f"tries_{place}" for place in places)).values()
        self.assertEqual(of_test[1:6], ["setUpClass A", "A.test_one", "A.test_one", "A.test_two", "tearDownClass A"])
        attempts = ended.tests()["test_tries_test_one.tries_test_oneA.test_one"]["attempts"]
        self.assertEqual(len(attempts), 2)
        self.assertEqual(of_class_.count("setUpClass A"), 2)
        self.assertEqual(of_module.count(SET_UP), 2)

    def test_failfast_tears_down(self) -> None:
        self.make_module("test_it", test_one="self.fail()")
        ended = self.run_fixtures("-j", "1", "-f")
        self.assertEqual(ended.last_line, "0 passed, 1 failed, 0 skipped", ended.output)
        self.assertEqual(self.journal(), [SET_UP, "setUpClass A", "A.test_one", "tearDownClass A", TORN_DOWN])
