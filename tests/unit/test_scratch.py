"""Directories left over: without these tests, one that is in use, or is none of ours, could be removed."""

from __future__ import annotations

import os
import stat
import unittest

from isolatedunit.system.tempdir import LOCK, PREFIX, Scratch, remove_left_over
from tests.support.projects import ProjectTestCase


@unittest.skipUnless(os.name == "posix", "elsewhere there are no such locks, and what is left over stays")
class LeftOverTest(ProjectTestCase):
    def test_of_this_process(self) -> None:
        scratch = Scratch()
        parent = os.path.dirname(scratch.path)
        try:
            self.assertNotIn(scratch.path, remove_left_over(parent))
            self.assertEqual(stat.S_IMODE(os.stat(scratch.path).st_mode), 0o700)
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(scratch.path, LOCK)).st_mode), 0o600)
        finally:
            scratch.remove()
        self.assertFalse(os.path.exists(scratch.path))
        scratch.remove()

    def test_what_only_looks_like_one_stays(self) -> None:
        without_lock = os.path.join(self.directory, f"{PREFIX}a")
        os.mkdir(without_lock, 0o700)
        open_to_all = os.path.join(self.directory, f"{PREFIX}b")
        os.mkdir(open_to_all, 0o755)
        self.touch(os.path.join(open_to_all, LOCK))
        elsewhere = os.path.join(self.directory, "of-somebody")
        os.mkdir(elsewhere, 0o700)
        self.touch(os.path.join(elsewhere, LOCK))
        os.symlink(elsewhere, os.path.join(self.directory, f"{PREFIX}c"))
        linked = os.path.join(self.directory, f"{PREFIX}d")
        os.mkdir(linked, 0o700)
        os.symlink(os.path.join(elsewhere, LOCK), os.path.join(linked, LOCK))
        self.touch(os.path.join(self.directory, f"{PREFIX}e"))
        before = sorted(os.listdir(self.directory))
        self.assertEqual(remove_left_over(self.directory), [])
        self.assertEqual(sorted(os.listdir(self.directory)), before)
        self.assertEqual(os.listdir(elsewhere), [LOCK])

    def touch(self, path: str) -> None:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
