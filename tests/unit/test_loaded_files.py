"""The files that tests load: without these tests, a test that replaces a builtin could end the runner."""

from __future__ import annotations

import json
import os
import tempfile
import unittest
from typing import Any

from isolatedunit.instrumentation.loaded import read


class ReadTest(unittest.TestCase):
    def read(self, *saved: Any) -> dict[str, set[str]]:
        with tempfile.TemporaryDirectory() as directory:
            for number, value in enumerate(saved):
                with open(os.path.join(directory, str(number)), "w", encoding="utf-8") as file:
                    json.dump(value, file)
            return read(directory)

    def test_what_processes_have_written_is_put_together(self) -> None:
        found = self.read({"tests": ["t.py"], "files": ["a.py"]}, {"tests": ["t.py"], "files": ["b.py"]})
        self.assertEqual(found, {"t.py": {"a.py", "b.py"}})

    def test_what_is_no_list_of_files_is_left_out(self) -> None:
        values: tuple[Any, ...] = (7, [], {"tests": ["t.py"]}, {"tests": 7, "files": ["a.py"]})
        for value in values:
            self.assertEqual(self.read(value).get("t.py", set()), set(), value)
        self.assertEqual(self.read({"tests": ["t.py"], "files": 7}), {"t.py": set()})
        self.assertEqual(self.read({"tests": ["t.py"], "files": [7]}), {"t.py": set()})


if __name__ == "__main__":
    unittest.main()
