"""Without these tests, the page of messages shows some that isolatedunit never prints, or in no order."""

from __future__ import annotations

import ast
import glob
import os
import re
import unittest
from collections.abc import Iterator

from tests.support.documentation import DOCS
from tests.support.paths import REPOSITORY

_TERM = re.compile(r"^``(?P<message>[^`]+)``\n   ", re.MULTILINE)
_DIFFERS = "\N{HORIZONTAL ELLIPSIS}"


def texts() -> Iterator[str]:
    """Every text of the package, with an ellipsis for each value that is put into it."""
    for path in glob.glob(os.path.join(REPOSITORY, "isolatedunit", "**", "*.py"), recursive=True):
        with open(path, encoding="utf-8") as file:
            tree = ast.parse(file.read())
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else _DIFFERS for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


class TroubleshootingTest(unittest.TestCase):
    def setUp(self) -> None:
        with open(os.path.join(DOCS, "troubleshooting.rst"), encoding="utf-8") as file:
            self.messages = [match["message"] for match in _TERM.finditer(file.read())]

    def test_each_message_is_one_that_the_package_has(self) -> None:
        everything = "\n".join(texts())
        self.assertGreater(len(self.messages), 30)
        for message in self.messages:
            for part in filter(None, (part.strip() for part in message.split(_DIFFERS))):
                with self.subTest(message=message, part=part):
                    self.assertTrue(part in everything, part)

    def test_they_are_in_the_order_of_the_alphabet(self) -> None:
        def key(message: str) -> str:
            return re.sub(r"\W+", " ", message).strip().lower()

        self.assertEqual(self.messages, sorted(self.messages, key=key))


if __name__ == "__main__":
    unittest.main()
