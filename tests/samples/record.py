"""Runs a suite with a runner and prints every call on its result, as JSON: unittest or isolatedunit."""

import io
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.support.recording_result import RecordingResult  # noqa: E402


def main():
    runner_name, options, start = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
    os.chdir(start)
    sys.path[0] = start
    del sys.path[1]
    settings = {"resultclass": RecordingResult, "stream": io.StringIO(), "verbosity": 2}
    if runner_name == "unittest":
        result = unittest.TextTestRunner(**settings, **options).run(unittest.TestLoader().discover("."))
    else:
        from isolatedunit import IsolatedTestRunner

        source = {"discover": [".", "test*.py", None]}
        result = IsolatedTestRunner(**settings, **options).run_source(source)
    counts = [len(getattr(result, name)) for name in ("errors", "failures", "skipped", "expectedFailures")]
    counts += [len(result.unexpectedSuccesses), result.testsRun]
    json.dump({"calls": result.calls, "counts": counts, "success": result.wasSuccessful()}, sys.stdout)


if __name__ == "__main__":
    main()
