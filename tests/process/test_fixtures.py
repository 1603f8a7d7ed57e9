"""fork_after=fixtures: without these tests, fixtures could run more than once, or leak from one class to another."""

from __future__ import annotations

import json
import os

from tests.support.command_line import environment, run_python
from tests.support.fixture_projects import HEADER, MODULE, SET_UP, TORN_DOWN, FixturesTestCase, of_class
from tests.support.semantics import RECORD, count, expected, record


class OnceTest(FixturesTestCase):
    def test_fixtures_run_once_and_each_test_finds_what_they_left(self) -> None:
        self.make_module("test_it")
        ended = self.run_fixtures("-j", "1")
        self.assertEqual(ended.last_line, "4 passed, 0 failed, 0 skipped", ended.output)
        expected = [SET_UP, *of_class("A"), *of_class("B"), TORN_DOWN]
        self.assertEqual(self.journal(), expected)
        self.assertEqual(set(self.fork_afters(ended).values()), {"fixtures"})
        self.assertEqual(ended.report["run"]["fork_after"], "fixtures")  # type: ignore[index]

    def test_classes_see_their_modules_fixtures_and_not_each_others(self) -> None:
        code = "sys.SHARED.append(cls); assert sys.SHARED == [0, cls]"
        classes = (self.make_class("A", setUpClass=code), self.make_class("B", setUpClass=code))
        self.write(
            "test_it.py",
            "\n".join([HEADER, MODULE.format(setUpModule="sys.SHARED = [0]", tearDownModule="pass"), *classes]),
        )
        ended = self.run_fixtures()
        self.assertEqual(ended.last_line, "4 passed, 0 failed, 0 skipped", ended.output)

    def test_side_by_side(self) -> None:
        for unit in ("class", "test"):
            with self.subTest(unit):
                self.make_module("test_it")
                self.make_module("test_other", self.make_class("C"))
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

    def test_tests_of_one_class_run_at_the_same_time_from_the_same_fixtures(self) -> None:
        meet = "open({mine!r}, 'w').close()\n        while not os.path.exists({other!r}): time.sleep(0.001)"
        code = {"test_one": meet.format(mine="1", other="2"), "test_two": meet.format(mine="2", other="1")}
        self.make_module("test_it", self.make_class("A", **code))
        ended = self.run_fixtures("-j", "2", "--parallel-by", "test")
        self.assertEqual(ended.last_line, "2 passed, 0 failed, 0 skipped", ended.output)
        self.assertEqual(self.journal().count("setUpClass A"), 1)

    def test_same_as_unittest(self) -> None:
        for options in (
            {},
            {"parallel_by": "class", "max_concurrent_processes": 3},
            {"parallel_by": "test", "max_concurrent_processes": 3},
            {"track_handles": "on"},
        ):
            with self.subTest(options):
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
        self.make_module("test_it", self.make_class("A"))
        for arguments, times, made in (
            (("--start-method", "spawn"), 2, None),
            (("--isolation", "class"), 1, "import"),
            (("--isolation", "module"), 1, "import"),
            (("--isolation", "none"), 1, "import"),
        ):
            with self.subTest(arguments):
                if "class" in arguments or "module" in arguments or "none" in arguments:
                    self.make_module(
                        "test_it",
                        self.make_class("A").replace("self.assertEqual(self.state", "self.assertIsNotNone(self.state"),
                    )
                ended = self.run_fixtures(*arguments)
                self.assertEqual(ended.last_line, "2 passed, 0 failed, 0 skipped", ended.output)
                self.assertEqual(self.journal().count("setUpClass A"), times)
                self.assertEqual(set(self.fork_afters(ended).values()), {made})

    def test_cleanups_that_a_test_adds_to_its_class_and_module(self) -> None:
        self.make_module(
            "test_it",
            setUpClass="cls.addClassCleanup(note, 'cleanup of the class')\n"
            "        unittest.addModuleCleanup(note, 'cleanup by the class')",
            setUpModule="unittest.addModuleCleanup(note, 'cleanup of the module')",
            test_one="self.addClassCleanup(note, 'cleanup by the test')\n"
            "        unittest.addModuleCleanup(note, 'module cleanup by the test')",
        )
        ended = self.run_fixtures("-j", "1")
        self.assertEqual(ended.last_line, "4 passed, 0 failed, 0 skipped", ended.output)
        noted = self.journal()
        for text in ("of the class", "by the class", "of the module", "by the test"):
            self.assertEqual(noted.count(f"cleanup {text}"), 1, text)
        self.assertEqual(noted.count("module cleanup by the test"), 1)
        self.assertEqual(noted[-2:], [TORN_DOWN, "cleanup of the module"])

    def test_what_only_a_cleanup_refers_to(self) -> None:
        """As the object that removes a directory when it goes: it does not go in each fork."""
        code = (
            "import tempfile\n"
            "        directory = tempfile.TemporaryDirectory()\n"
            "        {add}(directory.cleanup)\n"
            "        os.makedirs('made', exist_ok=True); os.symlink(directory.name, 'made/{name}')"
        )
        check = "self.assertTrue(os.path.isdir('made/class/.') and os.path.isdir('made/module/.'))"
        self.make_module(
            "test_it",
            self.make_class(
                "A",
                setUpClass=code.format(add="cls.addClassCleanup", name="class"),
                test_one=check,
                test_two=check,
                tearDownClass=check.replace("self.assertTrue", "assert "),
            ),
            setUpModule=code.format(add="unittest.addModuleCleanup", name="module").replace("        ", "    "),
        )
        ended = self.run_fixtures()
        self.assertEqual(ended.last_line, "2 passed, 0 failed, 0 skipped", ended.output)
        for name in ("class", "module"):
            self.assertFalse(os.path.exists(os.path.join(self.directory, "made", name)))

    def test_what_fixtures_print(self) -> None:
        self.make_module(
            "test_it",
            setUpClass="print('said by setUpClass')",
            tearDownClass="print('said', 'by tearDownClass')\n        1 / 0",
            test_one="print('said by the test'); self.fail()",
        )
        ended = self.run_fixtures()
        tests = ended.tests()
        self.assertEqual(tests["test_it.A.test_one"]["stdout"], "said by the test\n")
        self.assertEqual(tests["tearDownClass (test_it.A)"]["stdout"], "said by tearDownClass\n")
        self.assertEqual(ended.output.count("said by tearDownClass"), 1)
        self.make_module("test_it", setUpClass="print('said', 'by setUpClass')\n        1 / 0")
        for arguments in ((), ("-b",)):
            ended = self.run_fixtures(*arguments)
            self.assertIn("said by setUpClass\n", ended.output)
            self.assertEqual(ended.output.count("said by setUpClass"), 1)

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


ALL_TESTS = ["A.test_one", "A.test_two", "B.test_one", "B.test_two"]
ALL_NOTED = [SET_UP, *of_class("A"), *of_class("B"), TORN_DOWN]


class SpawnTest(FixturesTestCase):
    def test_where_nothing_is_forked_it_is_told_that_it_does_nothing(self) -> None:
        self.make_module("test_it")
        ended = self.run_fixtures("--start-method", "spawn")
        self.assertEqual(ended.last_line, "4 passed, 0 failed, 0 skipped", ended.output)
        self.assertEqual(ended.output.count("fork_after=fixtures has no effect with start_method=spawn"), 1)


class FailingTest(FixturesTestCase):
    """Each way to fail, in each fixture: one report, and everything else goes on."""

    def check(self, fixture: str, *, tests: list[str], noted: list[str]) -> None:
        """Run a module for each way in which its fixture can fail: *tests* and *noted* are of its classes A and B."""
        for way, (code, _, _) in WAYS.items():
            self.make_module(f"test_{way}", self.make_class(f"{way}A", **{fixture: code}), self.make_class(f"{way}B"))
            if fixture.endswith("Module"):
                classes = self.make_class(f"{way}A"), self.make_class(f"{way}B")
                self.make_module(f"test_{way}", *classes, **{fixture: code})
        self.make_module("test_good", self.make_class("goodA"), self.make_class("goodB"))
        ended = self.run_fixtures("-j", "2", "--process-timeout", "2")
        journal = self.journal()
        told = {test_id: (test["outcome"], test["cause"]) for test_id, test in ended.tests().items()}
        for way, (_, outcome, cause) in (*WAYS.items(), ("good", ("", "passed", None))):
            with self.subTest(way):
                module = f"test_{way}"
                mine = {test_id: what for test_id, what in told.items() if f"{module}." in test_id or module in test_id}
                if way != "good":
                    place = f"{module}.{way}A" if fixture.endswith("Class") else module
                    self.assertEqual(mine.pop(f"{fixture} ({place})"), (outcome, cause), ended.output)
                wanted = tests if way != "good" else ALL_TESTS
                self.assertEqual(mine, {f"{module}.{way}{test}": ("passed", None) for test in wanted})
                lines = [line for line in journal if line.endswith(f" of {module}") or way in line.partition(" of ")[0]]
                wanted = noted if way != "good" else ALL_NOTED
                self.assertEqual([line.replace(module, "test_it").replace(way, "") for line in lines], wanted)
        self.assertEqual(ended.exit_code, 1)

    def test_in_setupclass(self) -> None:
        noted = [SET_UP, "setUpClass A", *of_class("B"), TORN_DOWN]
        self.check("setUpClass", tests=["B.test_one", "B.test_two"], noted=noted)

    def test_in_teardownclass(self) -> None:
        self.check("tearDownClass", tests=ALL_TESTS, noted=ALL_NOTED)

    def test_in_setupmodule(self) -> None:
        self.check("setUpModule", tests=[], noted=[SET_UP])

    def test_in_teardownmodule(self) -> None:
        self.check("tearDownModule", tests=ALL_TESTS, noted=ALL_NOTED)

    def test_a_fixture_that_hangs_is_told_with_its_stack(self) -> None:
        self.make_module("test_it", setUpClass=HANG)
        ended = self.run_fixtures("--process-timeout", "1")
        message = ended.tests()["setUpClass (test_it.A)"]["traceback"]
        self.assertIn("in setUpClass", message)
        self.assertIn("test_it.py", message)

    def test_tests_that_crash_hang_and_leave(self) -> None:
        for way in ("crash", "hang", "leave"):
            self.make_module(
                f"test_{way}", self.make_class(f"{way}A", test_one=WAYS[way][0]), self.make_class(f"{way}B")
            )
        ended = self.run_fixtures("--process-timeout", "2", "-j", "3")
        told = {test_id: test["cause"] for test_id, test in ended.tests().items()}
        journal = self.journal()
        for way in ("crash", "hang", "leave"):
            with self.subTest(way):
                self.assertEqual(told.pop(f"test_{way}.{way}A.test_one"), WAYS[way][2])
                noted = [line.replace(way, "") for line in journal if way in line and " of " not in line]
                self.assertEqual(noted, [*of_class("A"), *of_class("B")])
                self.assertEqual(
                    [line for line in journal if line.endswith(f" of test_{way}")][1:],
                    [f"tearDownModule of test_{way}"],
                )
        self.assertEqual(set(told.values()), {None})
        self.assertEqual(len(told), 9)

    def test_retries_end_before_the_fixtures_do(self) -> None:
        self.make_module("test_it", test_one="self.assertTrue(os.path.exists('tried') or open('tried', 'w').close())")
        ended = self.run_fixtures("-j", "1", "--retries", "2")
        self.assertEqual(ended.last_line, "4 passed, 0 failed, 0 skipped", ended.output)
        noted = self.journal()
        self.assertEqual(noted[1:6], ["setUpClass A", "A.test_one", "A.test_one", "A.test_two", "tearDownClass A"])
        self.assertEqual(len(ended.tests()["test_it.A.test_one"]["attempts"]), 2)

    def test_a_fixture_is_retried(self) -> None:
        code = "assert os.path.exists('tried') or open('tried', 'w').close()"
        for fixture in ("setUpClass", "setUpModule"):
            with self.subTest(fixture):
                self.make_module("test_it", **{fixture: code})
                ended = self.run_fixtures("-j", "1", "--retries", "2")
                self.assertEqual(ended.last_line, "4 passed, 0 failed, 0 skipped", ended.output)
                self.assertEqual(
                    len([line for line in self.journal() if line.startswith(fixture)]),
                    3 if fixture == "setUpClass" else 2,
                )
                os.unlink(os.path.join(self.directory, "tried"))

    def test_failfast_tears_down(self) -> None:
        self.make_module("test_it", test_one="self.fail()")
        ended = self.run_fixtures("-j", "1", "-f")
        self.assertEqual(ended.last_line, "0 passed, 1 failed, 0 skipped", ended.output)
        self.assertEqual(self.journal(), [SET_UP, "setUpClass A", "A.test_one", "tearDownClass A", TORN_DOWN])
