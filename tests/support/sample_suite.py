"""Makes ``faces_suite`` importable, also in the processes of a runner that a test starts."""

from __future__ import annotations

import sys

from tests.support.paths import SAMPLES

sys.path.insert(0, SAMPLES)  # before the next import, in every process that loads this module

import faces_suite

__all__ = ["faces_suite"]
