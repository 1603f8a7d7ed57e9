"""Makes the suites that the benchmarks run, each into a directory of its own."""

from __future__ import annotations

import os


def write(directory: str, name: str, text: str) -> None:
    with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
        file.write(text)


def write_trivial(
    directory: str, tests: int, modules: int, imports: str = "", body: str = "self.assertEqual(1, 1)"
) -> None:
    """*tests* tests spread evenly over *modules* modules, ten to a class."""
    each = tests // modules
    for module in range(modules):
        lines = ["import unittest", imports]
        for number in range(each):
            if number % 10 == 0:
                lines.append(f"class Test{number // 10}(unittest.TestCase):")
            lines.append(f"    def test_{number % 10}(self): {body}")
        write(directory, f"test_m{module}.py", "\n".join(lines) + "\n")


def write_fixtures(directory: str, tests: int, classes: int, seconds: float) -> None:
    """*tests* tests spread evenly over *classes* classes of one module, whose ``setUpClass`` takes *seconds* each."""
    lines = ["import time, unittest"]
    for number in range(classes):
        lines += [f"class Test{number}(unittest.TestCase):", "    @classmethod"]
        lines += ["    def setUpClass(cls):", f"        time.sleep({seconds})", "        cls.ready = True"]
        lines += [f"    def test_{test}(self): self.assertTrue(self.ready)" for test in range(tests // classes)]
    write(directory, "test_fixtures.py", "\n".join(lines) + "\n")


def write_uneven(directory: str, tests: int, seconds: float, longest: float, modules: int) -> None:
    """*tests* tests of *seconds* of CPU each, spread evenly over *modules* modules, and one of *longest*."""
    head = "import time, unittest\n\ndef burn(seconds):\n    end = time.process_time() + seconds\n"
    head += "    while time.process_time() < end: pass\n\nclass Test(unittest.TestCase):\n"
    for module in range(modules):
        count = tests // modules
        lines = [f"    def test_{number}(self): burn({seconds})" for number in range(count)]
        if module == modules // 2:
            lines.append(f"    def test_longest(self): burn({longest})")
        write(directory, f"test_m{module}.py", head + "\n".join(lines) + "\n")
