"""What this process has and inherits: without these tests, a container's quota or a changed signal would be missed."""

from __future__ import annotations

import io
import os
import socket
import sys
import threading
import unittest
from unittest import mock

from isolatedunit.system.cgroups import processor_quota
from isolatedunit.system.usage import inherited, what_it_waits_for
from tests.support.projects import ProjectTestCase
from tests.support.waiting import PATIENCE, wait_until


class ProcessorsTest(ProjectTestCase):
    """How many there are, as control groups have it, on a tree of files that looks like the kernel's."""

    def quota(self, mount: str, own: str) -> float | None:
        mounts = self.write("mounts", f"proc /proc proc rw 0 0\n{mount}\n")
        return processor_quota(mounts, self.write("own", own))

    def test_version_2(self) -> None:
        mount = f"x {self.directory}/fs cgroup2 rw 0 0"
        self.write("fs/a/b/cpu.max", "max 100000\n")
        self.assertIsNone(self.quota(mount, "0::/a/b\n"))
        self.write("fs/a/cpu.max", "150000 100000\n")
        self.assertEqual(self.quota(mount, "0::/a/b\n"), 1.5)
        self.write("fs/a/b/cpu.max", "50000 100000\n")
        self.assertEqual(self.quota(mount, "0::/a/b\n"), 0.5)

    def test_version_1(self) -> None:
        mount = f"x {self.directory}/fs cgroup rw,cpu,cpuacct 0 0"
        self.write("fs/cpu.cfs_quota_us", "-1\n")
        self.write("fs/cpu.cfs_period_us", "100000\n")
        self.assertIsNone(self.quota(mount, "4:cpu,cpuacct:/docker/x\n"))
        self.write("fs/cpu.cfs_quota_us", "200000\n")
        self.assertEqual(self.quota(mount, "4:cpu,cpuacct:/docker/x\n"), 2.0)
        self.assertIsNone(self.quota(f"x {self.directory}/fs cgroup rw,memory 0 0", "4:memory:/\n"))

    def test_none(self) -> None:
        self.assertIsNone(processor_quota("/nowhere", "/nowhere"))


@unittest.skipUnless(os.path.exists("/proc/self/wchan"), "no kernel tells what is waited for")
class WaitsTest(unittest.TestCase):
    def test_what_a_thread_waits_for(self) -> None:
        lock = threading.Lock()
        reading, writing = os.pipe()
        near, far = socket.socketpair()
        threads = []
        with lock, near, far, open(writing, "wb"):
            for word, wait in (
                ("lock", lambda: lock.acquire(timeout=PATIENCE) and lock.release()),
                ("pipe", lambda: os.read(reading, 1)),
                ("socket", lambda: near.recv(1)),
            ):
                thread = threading.Thread(target=wait, daemon=True)
                thread.start()
                threads.append(thread)
                wait_until(lambda: what_it_waits_for(thread.native_id or 0) == word, f"a {word}")  # noqa: B023
            far.send(b"x")
        for thread in threads:
            thread.join(PATIENCE)
        os.close(reading)

    def test_nobody_tells(self) -> None:
        self.assertEqual(what_it_waits_for(os.getpid()), "")
        self.assertEqual(what_it_waits_for(2**30), "")


class InheritedTest(unittest.TestCase):
    @unittest.skipUnless(sys.platform == "linux", "signals are compared there")
    def test_the_signals_of_the_c_library_are_nobodys(self) -> None:
        for before, after, same in (
            (b"SigIgn:\t0000000181001000\n", b"SigIgn:\t0000000081001000\n", True),
            (b"SigIgn:\t0000000181001000\n", b"SigIgn:\t0000000181001200\n", False),
        ):
            told = []
            for line in (before, after):
                with mock.patch("builtins.open", return_value=io.BytesIO(line)):
                    told.append(inherited())
            self.assertEqual(told[0] == told[1], same)
