"""A test file that calls ``unittest.main`` itself: ``python test_own_main.py`` runs it, with unittest's options.

The ``testRunner`` in the last line is all that isolates its tests.
"""

import sys
import unittest

from isolatedunit import IsolatedTestRunner


class ModuleTest(unittest.TestCase):
    def test_a_module_is_replaced(self):
        sys.modules["json"] = None
        with self.assertRaises(ImportError):
            import json  # noqa: F401

    def test_the_module_is_there(self):
        import json

        self.assertEqual(json.loads("[1]"), [1])


if __name__ == "__main__":
    unittest.main(testRunner=IsolatedTestRunner)
