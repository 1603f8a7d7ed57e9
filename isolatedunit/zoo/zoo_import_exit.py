"""A module that ends the process that imports it, with an exit code that says all is well."""

import os

EXPECTED = [("unittest.loader._FailedTest.zoo_import_exit", "error", "crash")]

os._exit(0)
