"""What a child reports about a subtest."""

SUBTEST_KEYS = frozenset(("id", "description", "parameters"))
"""What is reported about every subtest; and its ``message``, if it has one."""

PARAMETER = "parameter "
"""The beginning of the keys for a subtest's parameters; the name of the parameter follows."""
