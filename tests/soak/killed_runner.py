"""Kills runners at random moments and tells what they left behind.

    python tests/soak/killed_runner.py [ROUNDS [SEED]]

Exit code 0 when two seconds later no process was left, every partial report could be read, and the next run had
removed the temporary files. 50 rounds take about three minutes.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from tests.support.killed_runner import kill_at, write_suite
from tests.support.start_methods import START_METHODS

LATEST = 2.5
"""Seconds: by then every kind of test runs."""


def main(rounds: int, seed: int) -> int:
    """Do it so often; gives the exit code."""
    chance = random.Random(seed)
    print(f"{rounds} rounds, seed {seed}")
    bad, slowest, finished, killed = 0, 0.0, 0, 0
    for number in range(rounds):
        method = START_METHODS[number % len(START_METHODS)]
        with tempfile.TemporaryDirectory() as directory:
            write_suite(directory)
            remains = kill_at(directory, chance.uniform(0.0, LATEST), method)
        killed += remains.was_killed
        finished += remains.finished or 0
        slowest = max(slowest, remains.gone_after or 0.0)
        if remains.gone_after is None or remains.finished is None or remains.scratch_left:
            bad += 1
            print(f"round {number}: {remains}", flush=True)
    print(
        f"{killed} of {rounds} runners were killed; all processes were gone after {slowest:.2f} s at most; "
        f"the partial reports told of {finished} tests; {bad} rounds left something behind"
    )
    return int(bad > 0)


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(numbers[0] if numbers else 50, numbers[1] if len(numbers) > 1 else int(time.time())))
