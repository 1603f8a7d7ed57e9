"""A module that skips itself."""

import unittest

EXPECTED = [("unittest.loader.ModuleSkipped.zoo_import_skip", "skipped", None)]

raise unittest.SkipTest("not today")
