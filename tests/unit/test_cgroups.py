"""Control groups' files: without these tests, limits could be set in the wrong group, or not at all."""

from __future__ import annotations

import os

from isolatedunit.system import cgroups
from isolatedunit.system.cgroups import ControlGroup, find_parent
from tests.support.projects import ProjectTestCase


class CgroupsTest(ProjectTestCase):
    def find(self, own: str, version: str = "cgroup2") -> str | None:
        mounts = self.write("mounts", f"proc /proc proc rw 0 0\nx {self.directory}/fs {version} rw 0 0\n")
        return find_parent(mounts, self.write("own", f"3:cpu:/elsewhere\n0::{own}\n"))

    def test_the_nearest_whose_children_have_the_controller(self) -> None:
        self.write("fs/cgroup.subtree_control", "cpu memory\n")
        self.write("fs/user/cgroup.subtree_control", "cpu memory pids\n")
        self.write("fs/user/service/cgroup.subtree_control", "\n")
        self.assertEqual(self.find("/user/service"), f"{self.directory}/fs/user")
        self.write("fs/user/cgroup.subtree_control", "cpu\n")
        self.assertEqual(self.find("/user/service"), f"{self.directory}/fs")

    def test_none_where_there_is_none(self) -> None:
        self.write("fs/user/cgroup.subtree_control", "cpu\n")
        self.assertIsNone(self.find("/user"))
        self.assertIsNone(self.find("/user", version="cgroup"))
        self.assertIsNone(find_parent("/nowhere", "/nowhere"))

    def test_its_files(self) -> None:
        group = ControlGroup(self.directory, "a", 1_000)
        for name, text in (("memory.max", "1000\n"), ("memory.oom.group", "1\n")):
            with open(os.path.join(self.directory, "a", name), encoding="ascii") as file:
                self.assertEqual(file.read(), text)
        self.assertFalse(group.killed_for_memory)
        self.assertIsNone(group.peak)
        self.write("a/memory.events", "low 0\noom 1\noom_kill 2\n")
        self.write("a/memory.peak", "1234\n")
        self.assertTrue(group.killed_for_memory)
        self.assertEqual(group.peak, 1234)

    def test_one_that_cannot_be_made(self) -> None:
        with self.assertRaises(OSError):
            ControlGroup(os.path.join(self.directory, "missing"), "a", 1)
        self.assertFalse(cgroups.join(os.path.join(self.directory, "missing", "cgroup.procs")))
