"""A package that loads its tests itself."""

import os


def load_tests(loader, tests, pattern):
    return loader.discover(os.path.dirname(__file__), pattern="check_*.py")
