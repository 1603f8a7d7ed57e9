"""A module whose import does not end."""

import time

EXPECTED = [("unittest.loader._FailedTest.zoo_import_hang", "error", "timeout")]

time.sleep(1000)
