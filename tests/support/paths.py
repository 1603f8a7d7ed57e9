"""Where the tests, what they need, and the isolatedunit that they test are."""

from __future__ import annotations

import os

import isolatedunit

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SAMPLES = os.path.join(TESTS, "samples")
MEASURED = os.path.join(TESTS, "support", "measured")
FAULTS = os.path.join(TESTS, "faults")
SCHEMAS = os.path.join(TESTS, "schemas")
REPOSITORY = os.path.dirname(TESTS)

PACKAGE_PARENT = os.path.dirname(os.path.dirname(os.path.abspath(isolatedunit.__file__)))
"""The folder from which isolatedunit is imported: the repository, or where it is installed."""
