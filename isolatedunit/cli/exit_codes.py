"""The exit codes of the command."""

SUCCESS = 0
FAILURE = 1
"""A test failed."""
USAGE = 2
"""The command line or the configuration is wrong."""
INTERNAL = 3
"""The fault is isolatedunit's own, or a report could not be written."""
NO_TESTS = 5
INTERRUPTED = 130
"""What a shell reports for a process that SIGINT killed."""
