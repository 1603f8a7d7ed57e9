"""A module that asks to exit when it is imported."""

import sys

EXPECTED = [("unittest.loader._FailedTest.zoo_import_sysexit", "error", None)]

sys.exit(0)
