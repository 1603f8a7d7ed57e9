"""Planning a suite: without these tests, a test of this process could be one that no other finds, and be lost."""

from __future__ import annotations

import sys
import types
import unittest
from importlib.machinery import ModuleSpec
from typing import Any
from unittest import mock

from isolatedunit.collection.from_suite import main_script, plan_one, plan_suite
from isolatedunit.model.results import PlannedTest


class Suite:
    """Classes of tests that the loader does not find."""

    class Ordinary(unittest.TestCase):
        def test_it(self) -> None:
            """It is described."""

    class Constructed(unittest.TestCase):
        """Has a constructor of its own, which makes the same test again."""

        def __init__(self, name: str = "test_it") -> None:
            super().__init__(name)
            self.made_by = "constructor"

        def test_it(self) -> None: ...

    class Valued(unittest.TestCase):
        """Has a value that no constructor gives it."""

        value: Any = None

        def test_it(self) -> None: ...

        def shortDescription(self) -> str:
            raise ValueError("there is none")


def valued(value: Any) -> unittest.TestCase:
    test = Suite.Valued("test_it")
    test.value = value
    return test


def plan(*tests: Any) -> list[PlannedTest]:
    planned, originals = plan_suite(unittest.TestSuite(tests), print)
    assert list(originals.values()) == list(tests)
    return planned


class AddressTest(unittest.TestCase):
    def test_how_each_is_found_again(self) -> None:
        ordinary, constructed, pickled = plan(Suite.Ordinary("test_it"), Suite.Constructed(), valued(5))
        for test, cls in ((ordinary, Suite.Ordinary), (constructed, Suite.Constructed)):
            self.assertEqual(test.address["class"], f"{__name__}:{cls.__qualname__}")
            self.assertEqual((test.home, test.reports, test.cause), ({"module": __name__}, (), None))
        self.assertEqual((ordinary.description, pickled.description), ("It is described.", None))
        self.assertEqual(set(pickled.address), {"dill"})

    def test_one_that_cannot_be_sent_is_an_error_of_its_own(self) -> None:
        before, stuck, after = plan(Suite.Ordinary("test_it"), valued(sys._getframe()), Suite.Ordinary("test_it"))
        self.assertEqual((stuck.address, stuck.cause), ({}, "ipc"))
        noted, ended = stuck.reports
        self.assertEqual((noted["kind"], ended["type"]), ("addError", "TestEnded"))
        self.assertRegex(noted["text"], r"Valued\.test_it cannot be sent to another process: .*its .value is a frame")
        self.assertEqual([test.reports for test in (before, after)], [(), ()])

    def test_what_the_loader_makes_is_reported_without_a_process(self) -> None:
        (failed,) = unittest.defaultTestLoader.loadTestsFromName("no_such_module_of_ours")
        (skipped,) = unittest.loader._make_skipped_test(  # type: ignore[attr-defined]
            "a_module", unittest.SkipTest("a reason"), unittest.TestSuite
        )
        failure, skip = plan(failed, skipped)
        self.assertEqual((failure.id, failure.cause), (failed.id(), None))
        self.assertEqual([report["type"] for report in failure.reports], ["OutcomeNoted", "TestEnded"])
        self.assertEqual((failure.reports[0]["kind"], failure.reports[0]["exception"]), ("addError", "ImportError"))
        self.assertIn("no_such_module_of_ours", failure.reports[0]["message"])
        self.assertEqual((skip.reports[0]["kind"], skip.reports[0]["text"]), ("addSkip", "a reason"))


class MainTest(unittest.TestCase):
    """Tests of ``__main__``, which another process cannot import under that name."""

    def main(self, file: str | None, spec: str | None) -> types.ModuleType:
        module = types.ModuleType("__main__")
        module.__spec__ = None if spec is None else ModuleSpec(spec, None)
        if file is not None:
            module.__file__ = file
        patched = mock.patch.dict(sys.modules, __main__=module)
        patched.start()
        self.addCleanup(patched.stop)
        return module

    def test_how_another_process_imports_it(self) -> None:
        for file, spec, script in (
            (__file__, None, {"path": __file__}),
            ("/folder/__main__.py", "__main__", {"container": "/folder"}),
            (__file__, "unittest.__main__", {"name": "unittest.__main__"}),
            ("<stdin>", None, None),
            (None, None, None),
        ):
            with self.subTest(file=file, spec=spec):
                self.main(file, spec)
                self.assertEqual(main_script(), script)

    def test_what_cannot_be_imported_is_sent_unless_it_has_fixtures(self) -> None:
        main = self.main(None, None)
        cls = type("InMain", (unittest.TestCase,), {"__module__": "__main__", "test_it": print})
        sent = plan_one(0, cls("test_it"))
        self.assertEqual((set(sent.address), sent.home, sent.reports), ({"dill"}, {"module": "dill"}, ()))
        vars(main)["setUpModule"] = print
        refused = plan_one(0, cls("test_it"))
        self.assertEqual(refused.cause, "ipc")
        self.assertIn("cannot be imported, has a setUpModule", refused.reports[0]["text"])
