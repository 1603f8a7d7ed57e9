"""Without these tests a module's audit hook, which may refuse anything, costs its tests their own outcomes."""

from __future__ import annotations

import textwrap

from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

WAYS = (*(("--start-method", method) for method in START_METHODS), ("--isolation", "class"), ("--leaks", "warn"))

HOOKED = """
    import sys
    import unittest

    REFUSED = {refused}
    refuses = {at_import}

    def hook(event, arguments):
        if refuses and (REFUSED is None or event in REFUSED):
            raise {exception}

    sys.addaudithook(hook)

    class HookedTest(unittest.TestCase):
        def test_passes(self):
            global refuses
            refuses = True

        def test_fails(self):
            global refuses
            if not {at_import}:
                refuses = True
                self.fail("its own message")

        @unittest.expectedFailure
        def test_is_expected_to_fail(self):
            self.assertTrue(False)
            global refuses
            refuses = True

        def test_subtest(self):
            global refuses
            refuses = True
            with self.subTest(number=1):
                pass
    """


HOOKS = {
    "test_errors": ("None", "RuntimeError(event)", False),
    "test_interrupts": ("None", "KeyboardInterrupt", False),
    "test_import": ("('open', 'compile', 'os.listdir', 'os.scandir')", "RuntimeError(event)", True),
}
"""Modules by their names: which events are refused, with what, and whether from the import on."""


class AuditHookTest(ProjectTestCase):
    """Hooks that raise when something is opened, listed or compiled, or at any event whatever."""

    def test_each_test_has_its_own_outcome(self) -> None:
        for name, (refused, exception, at_import) in HOOKS.items():
            text = textwrap.dedent(HOOKED).format(refused=refused, exception=exception, at_import=at_import)
            self.write(f"{name}.py", text)
        for way in (*WAYS[:2], WAYS[-1]):
            with self.subTest(way):
                # by name: a process that lists several modules is refused those after the first
                ended = self.run_here("-j", "3", *HOOKS, *way)
                self.assertEqual(ended.last_line, "10 passed, 2 failed, 0 skipped", ended.output)
                self.assertNotIn("bug in isolatedunit", ended.output)
                for name, test in ended.tests().items():
                    fails = name.endswith("test_fails") and not name.startswith("test_import.")
                    self.assertEqual((test["outcome"] == "failed", test["cause"]), (fails, None), test)
                    unknown = test["attempts"][0]["handle_stats"].get("incomplete")
                    warning = f"isolatedunit: {name} keeps its outcome, but it is not known what it left behind: "
                    self.assertEqual(warning in ended.output, unknown is not None)
                if "--leaks" in way:
                    self.assertRegex(ended.output, r"test_import\..* looking for that failed \(")

    def test_what_a_template_does_and_a_module_refuses(self) -> None:
        refused = "('fcntl.fcntl', 'object.__getattr__', 'open', 'os.fork', 'os.listdir', 'os.putenv')"
        hook = {"refused": refused, "exception": "KeyboardInterrupt(event)", "at_import": True}
        self.write("test_fork.py", textwrap.dedent(HOOKED).format(**hook))
        for way in (*WAYS, ("--fork-after", "fixtures", "--no-ipc")):
            with self.subTest(way):
                ended = self.run_here(*way)
                self.assertEqual(ended.last_line, "4 passed, 0 failed, 0 skipped", ended.output)
