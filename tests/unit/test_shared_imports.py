"""Shared imports: without these tests, modules could be thought to share a prefix that they do not."""

from __future__ import annotations

import unittest

from isolatedunit.engine.scheduling.shared_imports import shared_prefixes


class SharedPrefixesTest(unittest.TestCase):
    def test_what_modules_share_at_their_beginning(self) -> None:
        prefixes = {
            "a": ["import os", "import heavy", "import more"],
            "b": ["import os", "import heavy", "import else_"],
            "c": ["import heavy"],
            "d": ["import os", "import heavy", "import more", "import last"],
        }
        two, three = ("import os", "import heavy"), ("import os", "import heavy", "import more")
        self.assertEqual(shared_prefixes(prefixes), {"a": three, "b": two, "d": three})

    def test_the_standard_library_alone_does_not_pay(self) -> None:
        self.assertEqual(shared_prefixes({"a": ["import os", "import json"], "b": ["import os", "import json"]}), {})
        shared = shared_prefixes({name: ["from heavy.sub import x", "import json"] for name in "ab"})
        self.assertEqual(shared, dict.fromkeys("ab", ("from heavy.sub import x",)))

    def test_one_module_shares_with_nobody(self) -> None:
        self.assertEqual(shared_prefixes({"a": ["import heavy"]}), {})
        self.assertEqual(shared_prefixes({}), {})
