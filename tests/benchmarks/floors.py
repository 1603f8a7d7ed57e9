"""What the system itself takes for a process: run as a program, the floor that the benchmarks compare with.

``floors.py fork TESTS LANES [MODULE ...]``: so many forks of an interpreter with unittest, and the modules, loaded that
only exit, one after another in each lane. ``floors.py tests TESTS LANES``: the least that could be called a runner
with a process per test. Each fork runs a test, and its lane tells what came of it; nothing is captured, timed,
looked after or ended. ``floors.py spawn TESTS LANES``: so many bare processes of multiprocess's spawn context.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import selectors
import socket
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


class Trivial(unittest.TestCase):
    def test(self) -> None:
        pass


def test_in_lanes(count: int, lanes: int) -> None:
    with selectors.DefaultSelector() as selector:
        for _ in range(lanes):
            ours, theirs = socket.socketpair()
            if os.fork() == 0:
                ours.close()
                run_lane(theirs, count // lanes)
            theirs.close()
            selector.register(ours, selectors.EVENT_READ)
            ours.send(b"next")
        left = count // lanes * lanes
        while left:
            for key, _ in selector.select():
                lane: socket.socket = key.fileobj  # type: ignore[assignment]
                told = lane.recv(4096)
                if not told:
                    selector.unregister(lane)
                    continue
                assert json.loads(told)["passed"]
                left -= 1
                lane.send(b"next")
                sys.stderr.write(".")


def run_lane(runner: socket.socket, count: int) -> None:
    gc.collect()
    gc.disable()
    gc.freeze()
    for _ in range(count):
        runner.recv(4096)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            result = unittest.TestResult()
            unittest.TestSuite([Trivial("test")]).run(result)
            os.write(write, json.dumps({"pid": os.getpid(), "passed": result.wasSuccessful()}).encode())
            os._exit(0)
        os.close(write)
        os.wait4(child, 0)
        runner.send(os.read(read, 4096))
        os.close(read)
    runner.recv(4096)
    os._exit(0)


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
    for module in sys.argv[4:]:
        importlib.import_module(module)
    {"fork": fork_in_lanes, "tests": test_in_lanes, "spawn": spawn_in_lanes}[sys.argv[1]](
        int(sys.argv[2]), int(sys.argv[3])
    )
