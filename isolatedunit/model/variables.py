"""Environment variables that tests may read, and that set no option."""

SLOT_VARIABLE = "ISOLATEDUNIT_SLOT"
"""The number of the slot that a test's process has: from 1 to as many as run at the same time."""
