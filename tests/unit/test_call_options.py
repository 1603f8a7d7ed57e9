"""Options of a call: without these tests, a wrong one would be found only when its process has been started."""

from __future__ import annotations

import unittest
from typing import Any

from isolatedunit import (
    IsolatedTestOptions,
    OptionError,
)


class OptionsTest(unittest.TestCase):
    def test_defaults_are_the_seeds(self) -> None:
        options = IsolatedTestOptions()
        self.assertEqual((options.process_timeout, options.spawn_timeout, options.cleanup_timeout), (30.0, 5.0, 10.0))
        self.assertEqual((options.max_concurrent_processes, options.enable_ipc), (4, True))
        self.assertEqual((options.heartbeat_interval, options.enable_process_logging), (1.0, False))
        self.assertIsNone(options.test_sdk_options)

    def test_each_value_is_checked(self) -> None:
        values: tuple[tuple[str, Any], ...] = (
            ("process_timeout", -1),
            ("spawn_timeout", "soon"),
            ("cleanup_timeout", 0),
            ("max_concurrent_processes", 0),
            ("enable_ipc", "perhaps"),
            ("heartbeat_interval", None),
            ("enable_process_logging", 7),
            ("start_method", "fork"),
            ("memory_limit", "big"),
            ("test_sdk_options", {"sdk": "a.module:Client"}),
        )
        for name, value in values:
            with (
                self.subTest(name),
                self.assertRaisesRegex(OptionError, f"IsolatedTestOptions: {name}: .*invalid value"),
            ):
                IsolatedTestOptions(**{name: value})
