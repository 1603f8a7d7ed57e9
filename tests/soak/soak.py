"""Runs many tests of mixed behaviour in one run, and watches the runner: memory, descriptors, threads.

    python tests/soak/soak.py [TESTS]

Exit code 0 when each of the tests (20,000) came to what it should, no process was left, and nothing of the runner
grew but what it has to keep of each bad test for its summary.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

import psutil

from tests.support.command_line import environment
from tests.support.killed_runner import VARIABLE
from tests.support.processes import processes_with

TESTS_OF_A_MODULE = 200
INTERVAL = 1.0
MOST_BYTES_PER_TEST = 1024.0
"""How much the runner may grow with each test from the first quarter on: that is mostly its text of what failed."""

HEAD = """
import os, signal, subprocess, sys, threading, time, unittest

class Soak(unittest.TestCase):
    pass

def passes(self): pass
def fails(self): self.fail("as it should")
def raises(self): raise OSError("as it should")
def skips(self): self.skipTest("as it should")
def has_subtests(self):
    for number in range(3):
        with self.subTest(number=number):
            self.assertEqual(number, number)
def is_expected(self): self.fail("as it should")
is_expected = unittest.expectedFailure(is_expected)
def aborts(self): os.abort()
def exits(self): os._exit(0)
def is_killed(self): os.kill(os.getpid(), signal.SIGKILL)
def prints(self): print("x" * 100_000)
def leaves_a_process(self): subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
def leaves_a_thread(self): threading.Thread(target=time.sleep, args=(600,), daemon=False).start()
def hangs(self): time.sleep(600)
def is_flaky(self):
    path = f"{os.environ['SOAK']}/{self.id()}"
    if not os.path.exists(path):
        open(path, "w").close()
        os.abort()
"""

BEHAVIOURS = {
    "passes": (58, "passed", None),
    "fails": (10, "failed", None),
    "raises": (5, "error", None),
    "skips": (5, "skipped", None),
    "has_subtests": (4, "passed", None),
    "is_expected": (3, "expectedFailure", None),
    "aborts": (3, "error", "crash"),
    "exits": (3, "error", "crash"),
    "is_killed": (3, "error", "crash"),
    "prints": (2, "passed", None),
    "leaves_a_process": (2, "passed", None),
    "leaves_a_thread": (1, "passed", None),
    "is_flaky": (1, "passed", None),
}
"""Of each hundred tests so many, and what they come to. One of each thousand hangs, in place of one that passes."""


@dataclass(frozen=True)
class Sample:
    """The runner at one moment: how many tests were done, bytes, descriptors, threads."""

    tests: int
    rss: int
    descriptors: int
    threads: int


def write_suite(directory: str, tests: int) -> dict[str, tuple[str, str | None]]:
    """The suite's modules; gives what each test is to come to, by its id."""
    order = [name for name, (count, *_) in BEHAVIOURS.items() for _ in range(count)]
    expected = {}
    for first in range(0, tests, TESTS_OF_A_MODULE):
        module, lines = f"test_m{first // TESTS_OF_A_MODULE:04}", [HEAD]
        for number in range(first, min(first + TESTS_OF_A_MODULE, tests)):
            name = "hangs" if number % 1000 == 0 else order[number * 37 % 100]
            lines.append(f"Soak.test_{number:06} = {name}")
            expected[f"{module}.Soak.test_{number:06}"] = (
                ("error", "timeout") if name == "hangs" else BEHAVIOURS[name][1:]
            )
        with open(os.path.join(directory, f"{module}.py"), "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    return expected


def watch(runner: subprocess.Popen[bytes], events: str) -> list[Sample]:
    """Look at the runner until it ends."""
    samples, process = [], psutil.Process(runner.pid)
    with open(events, "rb") as file:
        done = 0
        while runner.poll() is None:
            done += sum(line.startswith(b'{"event":"TestFinished"') for line in file)
            try:
                with process.oneshot():
                    rss, threads = process.memory_info().rss, process.num_threads()
                samples.append(Sample(done, rss, process.num_fds(), threads))
            except psutil.Error:
                break
            try:
                runner.wait(INTERVAL)
            except subprocess.TimeoutExpired:
                continue
    return samples


def outcomes_in(events: str) -> dict[str, tuple[str, str | None]]:
    """What each test came to."""
    found = {}
    with open(events, encoding="ascii") as file:
        for line in file:
            event = json.loads(line)
            if event.get("event") == "TestFinished":
                assert event["report"]["id"] not in found, f"{event['report']['id']} is reported twice"
                found[event["report"]["id"]] = (event["report"]["outcome"], event["report"]["cause"])
    return found


def judge(samples: list[Sample]) -> bool:
    """Print how the runner fared; True if nothing grew."""
    last = samples[-1].tests
    quarters = [next(one for one in samples if one.tests >= last * part // 4) for part in (1, 2, 3)] + [samples[-1]]
    print("tests done    memory, MiB    descriptors    threads")
    for one in quarters:
        print(f"{one.tests:10}    {one.rss / 2**20:11.1f}    {one.descriptors:11}    {one.threads:7}")
    growth = (quarters[-1].rss - quarters[0].rss) / max(1, quarters[-1].tests - quarters[0].tests)
    print(f"{growth:.0f} bytes more a test since the first quarter")
    early, late = samples[: len(samples) // 2], samples[len(samples) // 2 :]
    flat = all(
        max(getattr(one, what) for one in late) <= max(getattr(one, what) for one in early) + 2
        for what in ("descriptors", "threads")
    )
    return flat and growth <= MOST_BYTES_PER_TEST


def main(tests: int) -> int:
    """Do it; gives the exit code."""
    mark = uuid.uuid4().hex
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryDirectory() as scratch:
        expected = write_suite(directory, tests)
        events = os.path.join(scratch, "events")
        open(events, "wb").close()
        flags = "-q -j 4 --process-timeout 3 --retries 1 --retry-on crash -k test_ --history none --leaks warn:thread"
        began = time.monotonic()
        with open(os.path.join(scratch, "output"), "wb") as output:
            runner = subprocess.Popen(
                [sys.executable, "-m", "isolatedunit", *flags.split(), "--events", events],
                cwd=directory,
                env=environment(SOAK=scratch, TMPDIR=scratch, **{VARIABLE: mark}),
                stdout=output,
                stderr=output,
            )
            samples = watch(runner, events)
        took, made = time.monotonic() - began, outcomes_in(events)
        with open(output.name, "rb") as file:
            last_line = file.read().rstrip().rpartition(b"\n")[2].decode()
        left = [process.info for process in processes_with(VARIABLE, mark)]
        files = [name for name in os.listdir(scratch) if name.startswith("isolatedunit-")]
    wrong = {test: (made.get(test), expected.get(test)) for test in expected.keys() | made.keys()}
    wrong = {test: both for test, both in wrong.items() if both[0] != both[1]}
    print(f"{len(made)} tests in {took:.0f} s, runner's exit code {runner.returncode}: {last_line}")
    print(
        ", ".join(f"{count} {outcome}" for outcome, count in Counter(outcome for outcome, _ in made.values()).items())
    )
    flat = judge(samples)
    verdict = "flat" if flat else "NOT flat"
    print(f"{len(wrong)} wrong, {len(left)} processes left, {len(files)} directories left, {verdict}")
    for test, (came, should) in sorted(wrong.items())[:20]:
        print(f"  {test}: {came}, not {should}")
    return int(bool(wrong or left or files or not flat or runner.returncode != 1))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000))
