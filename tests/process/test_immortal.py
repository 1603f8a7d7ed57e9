"""Immortal objects are the interpreter's: without these tests a user's object might never be finalised."""

from __future__ import annotations

import sys
import unittest
from types import ModuleType
from unittest import mock

from isolatedunit.child import immortal
from tests.support.projects import ProjectTestCase

SUITE = """
    import gc
    import sys
    import unittest
    import weakref
    import helper

    class Thing:
        pass

    KEPT = Thing()

    class ImmortalTest(unittest.TestCase):
        def test(self):
            ours = [KEPT, Thing, helper, helper.use, helper.use.__code__, Thing(), []]
            print(*[sys.getrefcount(one) == 2**32 - 1 for one in ours])
            theirs = [unittest.TestCase, unittest.TestCase.run, unittest.TestCase.run.__code__]
            print(*[sys.getrefcount(one) == 2**32 - 1 for one in theirs])

        def test_what_is_let_go_is_finalised(self):
            global KEPT
            gone = [weakref.ref(KEPT), weakref.ref(helper.use)]
            KEPT = None
            del helper.use
            self.assertEqual([one() for one in gone], [None, None])

        def test_the_collector(self):
            self.assertEqual(gc.get_freeze_count(), 0)
            known = {id(one) for one in gc.get_objects()}
            self.assertIn(id(vars(unittest)), known)
            thing = Thing()
            thing.itself = thing
            gone = weakref.ref(thing)
            del thing
            gc.collect()
            self.assertIsNone(gone())
    """


@unittest.skipUnless(sys.version_info[:2] in immortal.KNOWN_VERSIONS, "no objects are immortal that were not born so")
class ImmortalTest(ProjectTestCase):
    def printed(self, *flags: str) -> str:
        self.write("helper.py", "def use():\n    return 1\n")
        self.write("test_it.py", SUITE)
        # one process at a time: the first template may be older than what this is about
        ended = self.run_here("--start-method", "forkserver", "-j", "1", *flags)
        self.assertEqual(ended.exit_code, 0, ended.output)
        return str(next(test["stdout"] for name, test in ended.tests().items() if name.endswith("test")))

    def test_only_what_was_there_before_the_code_of_the_tests(self) -> None:
        nothing = "False False False False False False False\n"
        self.assertEqual(self.printed(), f"{nothing}True True True\n")
        self.assertEqual(self.printed("--immortal", "off"), f"{nothing}False False False\n")

    def test_in_a_fork_of_any_process_what_its_packages_define(self) -> None:
        lasting, users = (ModuleType(name) for name in ("lasting_package", "of_user"))
        for module in (lasting, users):
            exec("class Thing:\n    pass\n\ndef use():\n    return 'a constant'\n\nKEPT = []", vars(module))  # noqa: S102
        lasting.KEPT.extend([users.use, users.Thing, users.Thing(), users, []])
        with mock.patch.dict(sys.modules, {module.__name__: module for module in (lasting, users)}):
            self.assertEqual(immortal.make_definitions_immortal(["lasting_package"], immortal.WORTHWHILE - 1), 0)
            immortal.make_definitions_immortal(["lasting_package"], immortal.WORTHWHILE)
        theirs = [lasting.Thing, lasting.use, lasting.use.__code__, lasting.KEPT, unittest.TestCase.run]
        self.assertEqual([sys.getrefcount(one) == immortal.IMMORTAL for one in theirs], [True] * 5)
        ours = [*lasting.KEPT[:4], users.use.__code__, users.KEPT, vars(users)]
        self.assertEqual([sys.getrefcount(one) == immortal.IMMORTAL for one in ours], [False] * 7)


class OthersTest(unittest.TestCase):
    @unittest.skipIf(sys.version_info[:2] in immortal.KNOWN_VERSIONS, "here they are")
    def test_nothing_is_written_where_it_is_not_known_what(self) -> None:
        self.assertEqual(immortal.make_all_immortal(), 0)
        self.assertEqual(immortal.make_definitions_immortal([], immortal.WORTHWHILE), 0)
        self.assertLess(sys.getrefcount(unittest.TestCase), 2**30)
