"""Runs the zoo again and again while every processor is kept busy, and tells each verdict that is not the model's.

    python tests/soak/zoo_under_load.py [TIMES]

Exit code 0 when all of them are. It takes about a minute for each time.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from isolatedunit.cli.selftest import ZOO, model, verdict_on
from tests.process.test_zoo import visit
from tests.support.processes import processes_of_run
from tests.support.start_methods import START_METHODS


def burn() -> None:
    """Keep a processor busy until somebody ends this process."""
    while True:
        pass


def count_differences(start_method: str) -> int:
    """Run the zoo once; print, and count, what is not as the model has it."""
    expected = model(ZOO)
    began = time.monotonic()
    ended = visit(start_method)
    tests = ended.tests()
    differences = sorted(set(tests) ^ set(expected))
    for test_id, verdict in expected.items():
        if test_id in tests and (made := verdict_on(tests[test_id], verdict)) != verdict:
            differences.append(f"{test_id}: {made} and not {verdict}; {tests[test_id]['message'][:300]}")
    assert ended.report is not None
    left = processes_of_run(ended.report["run"]["id"])
    differences += [f"left running: {process}" for process in left]
    print(f"{start_method}: {len(tests)} tests in {time.monotonic() - began:.0f} s, {len(differences)} differences")
    for difference in differences:
        print(f"  {difference}", flush=True)
    return len(differences)


def main(times: int) -> int:
    """Run it so often per start method; gives the exit code."""
    burners = [multiprocessing.Process(target=burn, daemon=True) for _ in range(os.cpu_count() or 1)]
    for burner in burners:
        burner.start()
    try:
        total = sum(count_differences(method) for _ in range(times) for method in START_METHODS)
    finally:
        for burner in burners:
            burner.kill()
    print(f"{total} differences in {times} times {len(START_METHODS)} runs")
    return int(total > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10))
