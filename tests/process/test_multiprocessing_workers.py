"""Runs in the workers of multiprocessing: without these, a pool that runs tests is taken for an unguarded script."""

from __future__ import annotations

import multiprocessing
import unittest

from tests.support.command_line import run_python
from tests.support.projects import ProjectTestCase

PROGRAM = """
    import io
    import multiprocessing
    import sys
    import unittest

    from isolatedunit import IsolatedTestRunner

    class Guarded(unittest.TestCase):
        def test_passes(self):
            pass

        def test_fails(self):
            self.fail(type(self).__module__)

    def work(start_method):
        suite = unittest.defaultTestLoader.loadTestsFromTestCase(Guarded)
        plain = unittest.TextTestRunner(io.StringIO()).run(suite)
        suite = unittest.defaultTestLoader.loadTestsFromTestCase(Guarded)
        isolated = IsolatedTestRunner(io.StringIO(), start_method=start_method).run(suite)
        return [(one.testsRun, [(test.id(), text.splitlines()[-1]) for test, text in one.failures], one.errors)
                for one in (plain, isolated)]

    if __name__ == "__main__":
        with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
            plain, isolated = pool.apply(work, (sys.argv[2],))
        print(plain == isolated, isolated)
    """
UNGUARDED = """
    import unittest
    from isolatedunit import IsolatedTestRunner

    class Some(unittest.TestCase):
        def test(self):
            pass

    IsolatedTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(Some))
    """


class WorkerTest(ProjectTestCase):
    def test_a_worker_runs_tests_as_plain_unittest_does_there(self) -> None:
        self.write("program.py", PROGRAM)
        for worker in multiprocessing.get_all_start_methods():
            # how a worker finds its main module again is the same in all that do not inherit it
            for script in (["program.py"], ["-m", "program"])[: 2 if worker == "spawn" else 1]:
                with self.subTest(worker=worker, script=script):
                    ended = run_python(*script, worker, "auto", cwd=self.directory)
                    name = "__main__" if worker == "fork" else "__mp_main__"
                    failure = f"('{name}.Guarded.test_fails', 'AssertionError: {name}')"
                    self.assertEqual(ended.output, f"True (2, [{failure}], [])\n")

    def test_a_script_without_a_guard_is_still_told_so(self) -> None:
        self.write("program.py", UNGUARDED)
        ended = run_python("program.py", cwd=self.directory)
        self.assertIn('if __name__ == "__main__":', ended.output)


if __name__ == "__main__":
    unittest.main()
