"""What the system itself takes for a process: run as a program, the floor that the benchmarks compare with.

``floors.py fork TESTS LANES``: so many forks of an interpreter with unittest loaded that only exit,
one after another in each lane. ``floors.py spawn TESTS LANES``: so many bare processes of
multiprocess's spawn context.
"""

from __future__ import annotations

import os
import sys
import threading
import unittest


def fork_in_lanes(count: int, lanes: int) -> None:
    assert unittest
    running = []
    for _ in range(lanes):
        lane = os.fork()
        if lane == 0:
            for _ in range(count // lanes):
                child = os.fork()
                if child == 0:
                    os._exit(0)
                os.waitpid(child, 0)
            os._exit(0)
        running.append(lane)
    for lane in running:
        os.waitpid(lane, 0)


def do_nothing() -> None:
    pass


def spawn_in_lanes(count: int, lanes: int) -> None:
    import multiprocess

    context = multiprocess.get_context("spawn")

    def lane() -> None:
        for _ in range(count // lanes):
            process = context.Process(target=do_nothing)
            process.start()
            process.join()

    threads = [threading.Thread(target=lane) for _ in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    {"fork": fork_in_lanes, "spawn": spawn_in_lanes}[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]))
