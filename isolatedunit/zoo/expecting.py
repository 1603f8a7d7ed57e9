"""What a misbehaviour of the zoo is expected to come to, beside the misbehaviour itself."""


def expect(outcome, cause=None, leaked=0, told=(), since=None, told_since_311=()):
    """Say what the runner is to make of a test: its outcome, the cause of that, how many handles it
    leaves behind, and texts that are to stand in the report (some from Python 3.11 on). *since* is
    the Python version before which it is skipped. It is read off the source: see `isolatedunit.cli.selftest`."""
    return lambda test: test
