"""Replaces, a test each, every function that a test runner could lean on, and compares with plain unittest.

    python tests/soak/patches.py

Exit code 0 when all of the some 1,700 tests come out as plain unittest has them alone: with the forkserver, with fresh
interpreters, with a process for each class, and with the functions replaced when the test's module is imported.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from tests.support.generated_patches import all_targets, differences, run_isolated, run_plain, write_suite

WAYS: tuple[tuple[tuple[str, ...], bool], ...] = (
    ((), False),
    (("--start-method", "spawn"), False),
    (("--isolation", "class"), False),
    ((), True),
    (("--start-method", "spawn"), True),
)


def main() -> int:
    """Try each way; prints what differs."""
    targets, bad = all_targets(), 0
    for flags, at_import in WAYS:
        with tempfile.TemporaryDirectory() as directory:
            write_suite(directory, targets, before="class" in flags, at_import=at_import)
            plain = run_plain(directory, targets, at_import=at_import)
            found = differences(
                plain, run_isolated(directory, "-j", "2", *flags, at_import=at_import), at_import=at_import
            )
        way = f"{' '.join(flags) or 'forkserver'}{', replaced at import' if at_import else ''}"
        print(f"{way}: {len(plain)} tests, {dict(Counter(plain.values()))} in plain unittest, {len(found)} differ")
        print("".join(f"  {one}\n" for one in found), end="", flush=True)
        bad += len(found)
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main())
