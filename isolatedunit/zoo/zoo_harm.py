"""Tests that take away from their process what a runner might need."""

import builtins
import gc
import io
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
import unittest

from expecting import expect

from isolatedunit import isolated

MEGABYTE = 1024 * 1024


class Harm(unittest.TestCase):
    @expect("error", "crash", told=("SIGKILL",))
    def test_kills_its_group(self):
        os.kill(0, 9)

    @expect("passed", "ipc")
    def test_closes_every_descriptor(self):
        os.closerange(0, 4096)

    @expect("failed", "ipc", told=("said without a descriptor",))
    def test_closes_every_descriptor_and_fails(self):
        os.closerange(0, 4096)
        self.fail("said without a descriptor")

    @expect("passed", "ipc")
    def test_uses_the_numbers_of_closed_descriptors(self):
        os.closerange(3, 4096)
        files = [tempfile.TemporaryFile() for _ in range(200)]
        self.assertEqual(len(files), 200)

    @expect("error", "ipc")
    def test_writes_into_every_descriptor(self):
        for descriptor in range(3, 256):
            try:
                os.write(descriptor, b"\xff" * 64)
            except OSError:
                continue

    @expect("passed")
    def test_patches_the_standard_library(self):
        def fail(*_args, **_kwargs):
            raise RuntimeError("patched")

        for module, names in (
            (os, ("write", "read", "getpid", "fstat", "open", "close", "_exit", "waitpid", "kill")),
            (time, ("monotonic", "time", "sleep")),  # unittest itself needs perf_counter
            (json, ("dumps", "loads")),
            (traceback, ("format_exception", "format_exc")),
            (threading, ("enumerate", "current_thread", "main_thread")),
        ):
            for name in names:
                setattr(module, name, fail)

    @expect("passed")
    def test_clears_the_modules(self):
        sys.modules.clear()

    @expect("passed")
    def test_breaks_the_import(self):
        builtins.__import__ = None
        sys.path.clear()
        sys.meta_path.clear()

    @expect("passed")
    def test_allows_itself_8_descriptors(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))

    @expect("passed")
    def test_may_write_to_no_file(self):
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    @expect("passed", "ipc", leaked=1)
    def test_closes_every_descriptor_and_leaves_a_process(self):
        os.closerange(0, 4096)
        if not os.fork():
            os.setsid()
            time.sleep(1000)
            os._exit(0)

    @expect("passed")
    def test_forks_and_returns_twice(self):
        os.fork()

    @expect("failed", None, told=("AssertionError: once",))
    def test_forks_and_fails_twice(self):
        os.fork()
        self.fail("once")

    @expect("passed")
    def test_prints_50_megabytes(self):
        for _ in range(50):
            sys.stdout.write("x" * (MEGABYTE - 1) + "\n")

    @expect("failed", None, told=("\\xff\\xfe",))
    def test_prints_bytes_that_are_no_text(self):
        sys.stdout.buffer.write(b"\xff\xfe\x00\x80 \x1b[31m")
        self.fail("look at the output")

    @expect("passed")
    def test_reads_its_input(self):
        self.assertEqual(sys.stdin.read(), "")

    @expect("passed")
    def test_closes_the_streams(self):
        sys.stdout.close()
        sys.stderr.close()

    @expect("passed")
    def test_replaces_the_streams(self):
        sys.stdout = sys.stderr = None
        del sys.__stdout__, sys.__stderr__

    @expect("passed")
    def test_replaces_the_streams_by_bad_ones(self):
        class Bad(io.StringIO):
            def flush(self):
                raise OSError("no")

        sys.stdout = sys.stderr = Bad()

    @expect("failed", None, told=("AssertionError: said anyway",))
    def test_replaces_the_streams_by_what_is_none(self):
        class Worse:
            def __getattr__(self, name):
                raise RuntimeError(name)

        sys.stdout = sys.stderr = Worse()
        self.fail("said anyway")

    @expect("passed")
    def test_stands_where_nothing_is(self):
        directory = tempfile.mkdtemp()
        os.chdir(directory)
        shutil.rmtree(directory)

    @expect("passed")
    def test_clears_the_environment(self):
        os.environ.clear()

    @expect("passed")
    def test_ignores_every_signal(self):
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)

    @expect("passed")
    def test_traces_everything(self):
        sys.setprofile(lambda *_: None)
        threading.setprofile(lambda *_: None)

    @expect("error", None, told=("RecursionError",))
    def test_recurses_endlessly(self):
        self.test_recurses_endlessly()

    @expect("passed")
    def test_hardly_allows_recursion(self):
        depth = 1
        while True:
            try:
                sys._getframe(depth)
            except ValueError:
                break
            depth += 1
        sys.setrecursionlimit(depth + 15)

    @expect("passed")
    def test_fills_the_collector(self):
        gc.disable()
        garbage = [[] for _ in range(100_000)]
        for one in garbage:
            one.append(one)

    @expect("passed")
    def test_becomes_the_leader_of_a_group(self):
        os.setpgid(0, 0) if os.getpgid(0) != os.getpid() else None

    @expect("passed")
    def test_leaves_a_timer(self):
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)

    @isolated(memory_limit="200M")
    @expect("error", "memory", told=("bytes of memory",))
    def test_uses_too_much_memory(self):
        hoard = []
        while True:
            hoard.append(b"x" * MEGABYTE)
            time.sleep(0.0005)

    @isolated(cpu_limit=1)
    @expect("error", "cpu", told=("CPU time",))
    def test_uses_too_much_cpu(self):
        while True:
            pass
