"""A module that cannot be imported."""

EXPECTED = [("unittest.loader._FailedTest.zoo_import_fail", "error", None)]

raise RuntimeError("this module cannot be imported")
