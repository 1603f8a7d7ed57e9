"""What a child tells of a subtest."""

SUBTEST_KEYS = frozenset(("id", "description", "parameters"))
"""What is told of every subtest; its ``message`` is told, too, if it has one."""

PARAMETER = "parameter "
"""What the names of its parameters begin with among that."""
