"""Runs a function in a process of its own: the shortest way to an isolated test. Run this file as a program."""

import os

from isolatedunit import IsolatedTestRunner

settings = {"mode": "quick"}


def pollute(test):
    """Change global state, and return what this process sees of it."""
    settings["mode"] = "polluted"
    os.environ["MODE"] = "polluted"
    print("written in", test.temporary_directory)
    return {"mode": settings["mode"], "process": os.getpid()}


def main():
    with IsolatedTestRunner() as runner:
        result = runner.run_isolated_test(pollute)
        print("result:", result)
        print("returned the mode:", result.test_results["mode"])
        print("here it is still:", settings["mode"], os.environ.get("MODE"))
        print("crashed:", runner.run_isolated_test(lambda test: os.abort()).cause)


if __name__ == "__main__":
    main()
