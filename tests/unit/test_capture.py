"""Without this, the stacks below a crash would show threads of isolatedunit that say nothing about the test."""

from __future__ import annotations

import os
import unittest

import isolatedunit
from isolatedunit.backends.capture import _without_our_frames

OURS = f'  File "{os.path.join(os.path.dirname(isolatedunit.__file__), "child", "worker.py")}", line 3 in work\n'
UNITTESTS = f'  File "{os.path.join(os.path.dirname(unittest.__file__), "case.py")}", line 4 in run\n'
USERS = '  File "test_it.py", line 7 in test_hangs\n'
MAIN = "Current thread 0x00007f01 (most recent call first):\n"
OTHER = "Thread 0x00007f02 (most recent call first):\n"


class StacksTest(unittest.TestCase):
    def test_frames_below_the_test_are_left_out(self) -> None:
        self.assertEqual(_without_our_frames(MAIN + USERS + UNITTESTS + OURS), MAIN + USERS)

    def test_what_the_process_did_that_was_forked_is_left_out(self) -> None:
        fork = OURS.replace(os.path.join("child", "worker.py"), os.path.join("backends", "forkserver", "fork_here.py"))
        files = (("_pytest", "python.py"), ("pluggy", "_callers.py"), ("django", "test", "testcases.py"))
        callers = [f'  File "{os.path.join("site-packages", *file)}", line 5 in run\n' for file in files]
        past = '  File "manage.py", line 22 in <module>\n'
        stacks = "".join((MAIN, callers[0], USERS, *callers, UNITTESTS, OURS, callers[1], fork, callers[0], past))
        self.assertEqual(_without_our_frames(f"{stacks}\n{OTHER}{past}"), f"{MAIN}{callers[0]}{USERS}\n{OTHER}{past}")

    def test_a_thread_that_is_all_ours_is_left_out(self) -> None:
        self.assertEqual(_without_our_frames(f"{OTHER}{OURS}\n{MAIN}{USERS}{OURS}"), MAIN + USERS)
        self.assertEqual(
            _without_our_frames(f"{MAIN}{USERS}{OURS}\n{OTHER}{OURS}").rstrip("\n"), (MAIN + USERS).rstrip()
        )

    def test_one_empty_line_stands_in_its_place(self) -> None:
        fatal = "Fatal Python error: Aborted\n"
        self.assertEqual(_without_our_frames(f"{fatal}\n{OTHER}{OURS}\n{MAIN}{USERS}"), f"{fatal}\n{MAIN}{USERS}")

    def test_threads_of_the_user_stay(self) -> None:
        stacks = f"{OTHER}{USERS}\n{MAIN}{USERS}"
        self.assertEqual(_without_our_frames(stacks), stacks)
        self.assertEqual(_without_our_frames(f"{OTHER}  <no Python frame>\n"), f"{OTHER}  <no Python frame>\n")
