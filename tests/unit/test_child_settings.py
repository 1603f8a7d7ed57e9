"""Without these, a child could run its tests in another way than the run's options say, and nobody would notice."""

from __future__ import annotations

import json
import unittest
from typing import Any

from isolatedunit.config.options import Options, check
from isolatedunit.engine.launch import Launcher
from isolatedunit.engine.scheduling.latency import LatencyPolicy
from isolatedunit.engine.scheduling.shared_imports import SharedImportsPlan
from isolatedunit.errors import ProtocolError
from isolatedunit.instrumentation.instruments import Measuring
from isolatedunit.protocol.child_settings import ChildSettings
from isolatedunit.protocol.messages import COMMANDS, RunTest, decode, encode
from isolatedunit.system.terminal import path_of_input


def made_for(options: Options, **of_attempt: Any) -> ChildSettings:
    """What a run with these options tells its children."""
    measuring = Measuring(options, lambda name: f"/scratch/{name}")
    policy, shared_imports = LatencyPolicy.of(options), SharedImportsPlan()
    launch: Any = Launcher("run", None, policy, shared_imports, measuring, "default", print, dict)  # type: ignore[arg-type]
    made: ChildSettings = launch.settings(options, **of_attempt)
    return made


def sent(**changes: Any) -> bytes:
    """A command as it travels, with *changes* to its settings; a field that is to be ``...`` is left out."""
    message = json.loads(encode(RunTest(attempt="run/0#1", tests=[], settings=made_for(Options()))))
    message["settings"] |= changes
    message["settings"] = {name: value for name, value in message["settings"].items() if value is not ...}
    return json.dumps(message).encode()


class ChildSettingsTest(unittest.TestCase):
    def test_what_the_options_say_arrives(self) -> None:
        options = Options(
            **check(
                {
                    "failfast": True,
                    "buffer": True,
                    "tb_locals": True,
                    "cleanup_timeout": 3,
                    "heartbeat_interval": 0.5,
                    "enable_ipc": False,
                    "cpu_limit": 7,
                    "memory_limit": "64M",
                    "max_processes": 5,
                    "max_open_files": 40,
                    "memory_growth_limit": "1M",
                    "hunt_leaks": 4,
                    "profile": "profiles",
                    "trace_imports": True,
                    "watch": True,
                    "debug": True,
                    "pdb": True,
                    "debug_adapter": 7,
                    "preload": ["setup_of:begin"],
                },
                "test",
            )
        )
        settings = made_for(options, receipt="r", slot=2, environment={"DB": "2"}, shares_process=True, imports=["x"])
        command = RunTest(attempt="run/0#1", tests=[], settings=settings)
        arrived: Any = decode(encode(command), COMMANDS)
        self.assertEqual(
            arrived.settings.to_dict(),
            {
                "failfast": True,
                "buffer": True,
                "tb_locals": True,
                "warnings": "default",
                "ipc": False,
                "heartbeat_interval": 0.5,
                "cleanup_timeout": 3,
                "receipt": "r",
                "slot": 2,
                "environment": {"DB": "2"},
                "preload": ["setup_of:begin"],
                "isolation": "test",
                "imports": ["x"],
                "shares_process": True,
                "prebuilt": False,
                "track_handles": False,
                "track_state": False,
                "cpu_limit": 7,
                "memory_limit": 64 * 2**20,
                "max_processes": 5,
                "max_open_files": 40,
                "memory_growth_limit": 2**20,
                "cgroup": None,
                "hunt_leaks": 4,
                "profiler": options.profiler,
                "profile_directory": "/scratch/profile",
                "import_directory": "/scratch/imports",
                "loaded_directory": "/scratch/loaded",
                "directory": None,
                "passing_subtests": False,
                "warm": "auto",
                "debug": True,
                "pdb": True,
                "debug_adapter": 7,
                "terminal": path_of_input(),
            },
        )
        self.assertEqual(arrived, command)

    def test_a_limit_beyond_all_counters_is_none(self) -> None:
        options = Options(
            **check({"memory_limit": "9999999999T", "cleanup_timeout": 1e300, "heartbeat_interval": 1e300}, "test")
        )
        arrived: Any = decode(encode(RunTest(attempt="run/0#1", tests=[], settings=made_for(options))), COMMANDS)
        self.assertIsNone(arrived.settings.memory_limit)
        self.assertIsNone(arrived.settings.cleanup_timeout)
        self.assertLess(arrived.settings.heartbeat_interval, 1e300)

    def test_whether_the_kernel_limits_it(self) -> None:
        self.assertFalse(made_for(Options()).has_limits)
        for limit in ({"cpu_limit": 1.0}, {"memory_limit": 1}, {"max_open_files": 1}, {"cgroup": "tasks"}):
            with self.subTest(limit):
                self.assertTrue(made_for(Options()).but(**limit).has_limits)

    def test_what_is_odd_is_refused_by_name(self) -> None:
        for changes, problem in (
            ({"failfast": ...}, "ChildSettings lacks .*'failfast'"),
            ({"colour": "red"}, "ChildSettings has no field 'colour' with 'red'"),
            ({"buffer": 1}, "ChildSettings has no field 'buffer' with 1"),
            ({"cleanup_timeout": "10"}, "ChildSettings has no field 'cleanup_timeout' with '10'"),
        ):
            with self.subTest(changes), self.assertRaisesRegex(ProtocolError, problem):
                decode(sent(**changes), COMMANDS)
        with self.assertRaisesRegex(ProtocolError, "RunTest has no field 'settings'"):
            decode(b'{"type":"RunTest","attempt":"a","tests":[],"settings":null}', COMMANDS)
        with self.assertRaisesRegex(TypeError, "colour"):
            made_for(Options(), colour="red")


if __name__ == "__main__":
    unittest.main()
