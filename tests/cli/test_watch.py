"""--watch: without these tests, a change could run too little or nothing again, or a key do something else."""

from __future__ import annotations

import os
import signal
import tempfile
import unittest

from isolatedunit.cli.watch import Affected
from isolatedunit.instrumentation import loaded
from tests.support.command_line import environment
from tests.support.optional import optional
from tests.support.processes import heed_signals
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS
from tests.support.waiting import PATIENCE, wait_until


class AffectedTest(unittest.TestCase):
    def test_who_needs_a_file(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            paths = {name: os.path.join(directory, name) for name in ("test_a.py", "test_b.py", "test_new.py")}
            for path in paths.values():
                with open(path, "w", encoding="utf-8"):
                    pass
            a, b, new = paths.values()
            known = Affected("test*.py")
            known.learn({a: {a, "shop"}, b: {b, "shop", "cart"}, "gone": {"cart"}})
            for changed, affected in (
                ({"shop"}, [a, b]),
                ({"cart"}, [b]),
                ({a}, [a]),
                ({new, "other"}, [new]),
                ({"other"}, []),
                ({"cart", a}, [a, b]),
            ):
                self.assertEqual(known.by(changed), affected)
            known.learn({b: {b, "late"}})
            self.assertEqual((known.by({"cart"}), known.by({"late"})), ([b], [b]), "its import may just have failed")
            named = Affected(None)
            named.learn({a: {a}})
            self.assertEqual(named.by({new, a}), [a])

    def test_what_a_killed_process_wrote(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            for name, text in (
                ("1", '{"tests": ["a"], "files": ["a", "x"]}'),
                ("2", '{"tests": ["a", "b"], "files": ["a", "b", "y"]}'),
                ("3", '{"tests": ["a"], "fi'),
            ):
                with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                    file.write(text)
            self.assertEqual(loaded.read(directory), {"a": {"a", "b", "x", "y"}, "b": {"a", "b", "y"}})


@unittest.skipIf(optional("watchfiles") is None, "needs watchfiles")
class WatchTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("shop.py", "PRICE = 1\n")
        self.write("late.py", "import shop\n")
        for name, body in (("a", "import late; self.assertEqual(late.shop.PRICE, 1)"), ("b", "pass")):
            self.write(
                f"test_{name}.py",
                f"""
                import unittest

                class It(unittest.TestCase):
                    def test_{name}(self):
                        {body}
                """,
            )

    @unittest.skipIf(optional("pyte") is None or os.name != "posix", "needs pyte, and a terminal")
    def test_a_session_on_a_terminal(self) -> None:
        from tests.support.terminal import Terminal

        terminal = Terminal("-m", "isolatedunit", "--watch", cwd=self.directory, env=environment(), columns=140)
        self.addCleanup(terminal.end)

        def wait_for(begin: int, *shown: str) -> None:
            """Wait until these stand on the screen, one after another; one change may be heard of more than once."""

            def has_come() -> bool:
                place = begin
                for text in shown:
                    place = terminal.text.find(text, place) + 1
                    if not place:
                        return False
                return True

            terminal.wait_for(has_come, repr(shown))

        def press(key: str, *shown: str) -> None:
            begin = len(terminal.text)
            terminal.type(key)
            wait_for(begin, *shown, "waiting for changes")

        def change(name: str, text: str, *shown: str) -> None:
            begin = len(terminal.text)
            self.write(name, text)
            wait_for(begin, f"changed: {name}; running 1 test module\n", *shown, "waiting for changes")

        wait_for(0, "2 passed, 0 failed", "waiting for changes")
        change("shop.py", "PRICE = 20\n", "0 passed, 1 failed")
        press("f", "--last-failed: 1 of 2 tests failed last time", "0 passed, 1 failed")
        change("shop.py", "PRICE =\n", "SyntaxError", "0 passed, 1 failed")
        change("shop.py", "PRICE = 1  # again\n", "1 passed, 0 failed")
        press("\n", "1 passed, 0 failed")
        new = "import unittest\nclass New(unittest.TestCase):\n    def test_new(self): pass\n"
        change("test_new.py", new, "1 passed, 0 failed")
        press("a", "3 passed, 0 failed")
        begin = len(terminal.text)
        terminal.type("t")
        wait_for(begin, "(empty for all):")
        press("test_b or new\n", "2 passed, 0 failed")
        press("a", "3 passed, 0 failed")  # the filter no longer counts
        terminal.type("q")
        self.assertEqual(terminal.wait(), 0, terminal.text)

    def test_start_methods_and_names(self) -> None:
        for method in START_METHODS:
            with self.subTest(method):
                process = self.start_here("--watch", "test_a", "--start-method", method, text=True)
                assert process.stdout is not None
                for text in ("PRICE = 30\n", "PRICE = 1  # back\n"):
                    self.wait_for_line(process.stdout, "waiting for changes")
                    self.write("test_b.py", "# nobody wants it\n")
                    self.wait_for_line(process.stdout, "changed: test_b.py; no test needs it")
                    self.write("shop.py", text)
                    self.wait_for_line(process.stdout, "changed: shop.py; running 1 test module")
                self.wait_for_line(process.stdout, "waiting for changes")
                os.unlink(os.path.join(self.directory, "test_b.py"))
                self.wait_for_line(process.stdout, "deleted: test_b.py; no test needs it")
                process.kill()

    @unittest.skipUnless(hasattr(signal, "SIGHUP"), "POSIX's signals")
    def test_signals_that_end_it(self) -> None:
        self.write(
            "test_a.py",
            """
            import threading
            import unittest

            class It(unittest.TestCase):
                def test_waits(self):
                    open("began", "w").close()
                    threading.Event().wait()
            """,
        )
        began = os.path.join(self.directory, "began")
        for name in ("SIGTERM", "SIGHUP"):
            for test in ("test_a", "test_b"):
                with self.subTest(name, test=test):
                    process = self.start_here("--watch", test, text=True, preexec_fn=heed_signals)
                    assert process.stdout is not None
                    if test == "test_a":  # which is on
                        wait_until(lambda: os.path.exists(began), "the test to begin")
                        os.remove(began)
                    else:
                        self.wait_for_line(process.stdout, "waiting for changes")
                    process.send_signal(getattr(signal, name))
                    rest = process.stdout.read()
                    self.assertEqual(process.wait(PATIENCE), 130, rest)
                    self.assertNotIn("waiting for changes", rest)

    def test_a_name_that_no_test_has_ends_it(self) -> None:
        ended = self.run_here("--watch", "test_a.It.test_b", report=False)
        self.assertEqual((ended.exit_code, ended.output.count("\n")), (2, 1), ended.output)
        self.assertIn("there is no test test_a.It.test_b; did you mean test_a?", ended.output)

    def wait_for_line(self, stream: object, text: str) -> None:
        read = ""
        for line in stream:  # type: ignore[attr-defined]
            read += line
            if text in line:
                return
        self.fail(f"waited in vain for {text!r} in:\n{read}")


class WithoutWatchfilesTest(ProjectTestCase):
    def test_what_is_missing(self) -> None:
        self.write("watchfiles.py", "raise ImportError\n")
        ended = self.run_here("--watch", env=environment(PYTHONPATH=os.pathsep.join([self.directory, os.getcwd()])))
        self.assertEqual(ended.exit_code, 2)
        self.assertIn("--watch needs the package watchfiles; install it with: pip install", ended.output)


if __name__ == "__main__":
    unittest.main()
