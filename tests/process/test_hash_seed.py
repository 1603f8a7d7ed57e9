"""One hash seed for a run: without this test, one made from a set could be another one in the process that runs it."""

from __future__ import annotations

import os
import shutil
import sys
import unittest

from tests.support.command_line import environment, run_python
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

FRUIT = ("apple", "pear", "plum", "cherry", "lemon", "fig", "grape", "melon")

OF_A_SET = """
    import os
    import subprocess
    import sys
    import unittest

    FRUIT = {"apple", "pear", "plum", "cherry", "lemon", "fig", "grape", "melon"}

    class Fruit(unittest.TestCase):
        def test_environment(self):
            told = subprocess.check_output([sys.executable, "-c", "import os; print(os.environ.get('PYTHONHASHSEED'))"])
            print("seed:", os.environ.get("PYTHONHASHSEED"), told.decode().strip())

    for number, fruit in enumerate(FRUIT):
        def test(self, fruit=fruit):
            print(fruit, hash("x"))
            self.assertNotEqual(fruit, "plum")
        setattr(Fruit, f"test_{number}", test)
    """


def without_seed(**more: str) -> dict[str, str]:
    return {name: value for name, value in environment(**more).items() if name != "PYTHONHASHSEED" or name in more}


class HashSeedTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("test_fruit.py", OF_A_SET)

    def test_each_value_is_tested_once_and_the_rerun_command_finds_the_same(self) -> None:
        for start_method in START_METHODS:
            with self.subTest(start_method):
                flags = "--start-method", start_method, "--history", "none"
                ended = self.run_here(*flags, env=without_seed())
                self.assertEqual(ended.last_line, "8 passed, 1 failed, 0 skipped", ended.output)
                tests = ended.tests()
                printed = sorted(test["stdout"].split()[0] for test in tests.values())
                self.assertEqual(printed, sorted([*FRUIT, "seed:"]))
                # of the variable, which nobody has set, tests see nothing
                self.assertEqual(tests["test_fruit.Fruit.test_environment"]["stdout"], "seed: None None\n")
                assert ended.report is not None
                seed = ended.report["run"]["hash_seed"]
                (failed,) = [name for name, test in tests.items() if test["outcome"] == "failed"]
                command = f"To run it again: python -m isolatedunit {failed} --hash-seed {seed}"
                self.assertIn(f"{command} --start-method {start_method}\n", ended.output)
                again = self.run_here(*flags, failed, "--hash-seed", str(seed), env=without_seed())
                self.assertEqual(again.tests()[failed]["stdout"], tests[failed]["stdout"])

    def test_one_that_compiles_and_one_that_reads_what_was_compiled_find_the_same_order(self) -> None:
        """With this seed, elements whose hashes collide come in one order from the source, in another from a .pyc."""
        writes = {name: value for name, value in environment().items() if name != "PYTHONDONTWRITEBYTECODE"}
        for start_method in START_METHODS:
            with self.subTest(start_method):
                shutil.rmtree(os.path.join(self.directory, "__pycache__"), ignore_errors=True)
                ended = self.run_here("--start-method", start_method, "--hash-seed", "867677", env=writes)
                self.assertEqual(ended.last_line, "8 passed, 1 failed, 0 skipped", ended.output)
                printed = sorted(test["stdout"].split()[0] for test in ended.tests().values())
                self.assertEqual(printed, sorted([*FRUIT, "seed:"]))

    def test_tests_find_the_variable_as_the_user_set_it(self) -> None:
        test = "test_fruit.Fruit.test_environment"
        for start_method, value in ((START_METHODS[0], "random"), (START_METHODS[-1], "12")):
            with self.subTest(start_method, value=value):
                env = without_seed(PYTHONHASHSEED=value)
                ended = self.run_here("--start-method", start_method, test, env=env)
                self.assertEqual(ended.tests()[test]["stdout"], f"seed: {value} {value}\n")
                assert ended.report is not None
                if value == "12":
                    self.assertEqual(ended.report["run"]["hash_seed"], 12)

    def test_the_users_seed_is_in_no_rerun_command(self) -> None:
        ended = self.run_here(env=without_seed(PYTHONHASHSEED="12"))
        self.assertIn("To run it again: ", ended.output)
        self.assertNotIn("--hash-seed", ended.output)

    def test_a_python_that_ignores_its_environment(self) -> None:
        program = "import sys; sys.path += sys.argv.pop(1).split('|'); from isolatedunit.cli import main; main.main()"
        path = "|".join(["", *sys.path])
        ended = run_python("-E", "-c", program, path, "--hash-seed", "1", "--history", "none", cwd=self.directory)
        self.assertIn("isolatedunit: --hash-seed: 1 cannot be used, since Python ignores", ended.output)

    def test_no_seed(self) -> None:
        ended = self.run_here("--hash-seed", "4294967296")
        self.assertEqual(ended.exit_code, 2)
        self.assertIn("expected a whole number from 0 to 4294967295", ended.output)


if __name__ == "__main__":
    unittest.main()
