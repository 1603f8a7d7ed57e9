"""The command that starts a container: without these tests, one could have more of this machine than it should."""

from __future__ import annotations

import os
import sys
import unittest
from dataclasses import replace
from itertools import pairwise
from unittest import mock

from isolatedunit.backends.containers import container
from isolatedunit.backends.containers.container import command_of, find_engine
from isolatedunit.backends.containers.container_pool import folders_of
from isolatedunit.backends.contract import ContainerSetting, Setting
from isolatedunit.config.consequences import with_consequences
from isolatedunit.config.options import Options
from isolatedunit.errors import BackendUnavailable, OptionError

HERE = os.path.dirname(os.path.realpath(__file__))


def setting(**more: object) -> Setting:
    plain = Setting("run1", "/scratch", 2, True, (), (), HERE, print, container=ContainerSetting("image"))
    return replace(plain, **more)  # type: ignore[arg-type]


@unittest.skipUnless(hasattr(os, "geteuid"), "containers are for POSIX")
class CommandTest(unittest.TestCase):
    def command(self, engine: str = "podman", **more: object) -> list[str]:
        how = ContainerSetting("image", **more)  # type: ignore[arg-type]
        return command_of(setting(hash_seed=7), how, engine, "/scratch/c1", ["/project", "/lib/isolatedunit"])

    def test_files_are_read_only_except_the_runs_own_and_there_is_no_network(self) -> None:
        command = self.command()
        volumes = [after for before, after in pairwise(command) if before == "--volume"]
        self.assertEqual(
            volumes,
            ["/project:/project:ro", "/lib/isolatedunit:/lib/isolatedunit:ro", "/scratch:/scratch:rw"],
        )
        self.assertIn("--read-only", command)
        self.assertEqual(command[command.index("--network") + 1], "none")
        self.assertEqual(command[command.index("--label") + 1], "isolatedunit.run=run1")
        self.assertIn("PYTHONHASHSEED=7", command)
        self.assertEqual(command[-4:-1], ["image", "python3", "-c"])

    def test_limits_leave_room_for_templates(self) -> None:
        self.assertNotIn("--memory", self.command())
        command = self.command(memory=2**20, processes=4)
        self.assertGreater(int(command[command.index("--memory") + 1]), 2**20)
        self.assertGreater(int(command[command.index("--pids-limit") + 1]), 4)

    def test_docker_runs_as_the_user_whose_processes_can_be_ended(self) -> None:
        with mock.patch("os.geteuid", lambda: 1000):
            self.assertIn("--user", self.command("docker"))
            self.assertNotIn("--user", self.command("podman"))


class PoolTest(unittest.TestCase):
    def test_a_container_sees_the_project_and_the_package_and_no_library_of_this_python(self) -> None:
        outside = os.path.dirname(HERE)
        found = folders_of(setting(sys_path=("", os.path.dirname(os.__file__), outside, "/not/there")))
        self.assertEqual(found, [HERE, outside, container.package_folder()])

    def test_the_whole_machine_is_refused(self) -> None:
        with self.assertRaisesRegex(BackendUnavailable, "the tests cannot be in /; run them from the folder"):
            folders_of(setting(directory="/"))

    @unittest.skipIf(sys.platform == "win32", "there are no containers on Windows")
    def test_a_missing_engine_is_one_sentence(self) -> None:
        with mock.patch("shutil.which", lambda name: name if name == "docker" else None):
            self.assertEqual(find_engine("auto"), "docker")
            with self.assertRaisesRegex(BackendUnavailable, "there is no podman here; install one"):
                find_engine("podman")


class OptionsTest(unittest.TestCase):
    def test_an_image_implies_the_sandbox(self) -> None:
        self.assertEqual(with_consequences(Options(container="image")).sandbox, "containers")

    def test_what_does_not_go_together_is_refused(self) -> None:
        for values, expected in (
            ({"sandbox": "containers"}, "--sandbox containers: this needs an image"),
            (
                {"sandbox": "namespaces", "container": "x"},
                "--sandbox namespaces: containers are a sandbox of their own",
            ),
            ({"coverage": True, "container": "x"}, "--coverage: this does not work in containers"),
        ):
            with self.subTest(values), self.assertRaisesRegex(OptionError, expected):
                with_consequences(Options(**values))
