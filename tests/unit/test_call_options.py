"""Options of a call: without these tests, a wrong one would be found only when its process has been started."""

from __future__ import annotations

import concurrent.futures
import json
import logging
import os
import re
import unittest
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from isolatedunit import HandleTracker, IsolatedTestOptions, IsolatedTestRunner, OptionError, Options, OptionValues
from isolatedunit.calls.future import IsolatedFuture
from isolatedunit.calls.mapping import CallResults, _Ahead
from isolatedunit.system.durations import to_seconds


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
            ("test_sdk_options", "a.module:Client"),
        )
        for name, value in values:
            with (
                self.subTest(name),
                self.assertRaisesRegex(OptionError, f"IsolatedTestOptions: {name}: .*invalid value"),
            ):
                IsolatedTestOptions(**{name: value})

    def test_misspelt_names(self) -> None:
        for name, hint in (
            ("process_timeot", "did you mean 'process_timeout'?"),
            ("maxConcurrentProcesses", "did you mean 'max_concurrent_processes'?"),
            ("enableIPC", "did you mean 'enable_ipc'?"),
            ("anything", "expected one of: cleanup_timeout"),
        ):
            words = f"unknown option '{name}'; {re.escape(hint)}"
            wrong: dict[str, Any] = {name: 5}
            with self.subTest(name), self.assertRaisesRegex(OptionError, words):
                IsolatedTestOptions(**wrong)

    def test_milliseconds_are_taken_for_that(self) -> None:
        hint = "process_timeout: invalid value 20000; that is 5.6 hours, did you mean 20 seconds"
        for make in (
            lambda time: IsolatedTestOptions(process_timeout=time),
            lambda time: IsolatedTestRunner(process_timeout=time),
            lambda time: IsolatedTestRunner(options={"process_timeout": time}),
            lambda time: IsolatedTestOptions().with_values({"process_timeout": time}),
        ):
            with self.assertRaisesRegex(OptionError, hint):
                make(20000)
            made: Any = make(timedelta(hours=5))
            self.assertEqual(getattr(made, "options", made).process_timeout, 18000.0)
        options = IsolatedTestOptions(heartbeat_interval=timedelta(milliseconds=500))
        self.assertEqual(options.heartbeat_interval, 0.5)
        self.assertEqual(Options().with_values({"run_timeout": 20000}, "a file").run_timeout, 20000.0)

    def test_how_long_to_wait(self) -> None:
        for given, seconds in ((None, None), (0, 0.0), (2.5, 2.5), (20_000, 20_000.0), (timedelta(minutes=1), 60.0)):
            self.assertEqual(to_seconds(given, "map"), seconds)
        unusable: tuple[Any, ...] = ("5", True, float("nan"), [], object)
        for wrong in unusable:
            with (
                self.subTest(wrong),
                self.assertRaisesRegex(OptionError, r"^map: timeout: invalid value .*; expected a"),
            ):
                to_seconds(wrong, "map")
        future = IsolatedFuture[int]("a", lambda: None, print)
        for wait in (future.result, future.exception):
            with self.assertRaises(concurrent.futures.TimeoutError):
                wait(timedelta(0))
        with self.assertRaises(concurrent.futures.TimeoutError):
            next(CallResults(_Ahead(iter([[1]]), lambda _: (future, None), None), timeout=timedelta(0), unwrap=True))
        self.assertEqual(HandleTracker().finish(timedelta(seconds=1)).leaked, 0)

    def test_what_is_endless_is_not_taken_for_milliseconds(self) -> None:
        with self.assertRaisesRegex(OptionError, "process_timeout: invalid value inf; expected a number of seconds"):
            IsolatedTestRunner(process_timeout=float("inf"))

    def test_options_of_the_runner_in_a_call(self) -> None:
        runner = IsolatedTestRunner(max_concurrent_processes=2)
        other = IsolatedTestOptions(max_concurrent_processes=3)
        given: tuple[Any, ...] = ({"max_concurrent_processes": 3}, {"failfast": True}, other)
        for wrong in given:
            with self.subTest(wrong), self.assertRaisesRegex(OptionError, "a call: '.*' is an option of the runner"):
                runner.options_of_call(wrong)

    def test_what_is_wrong_with_the_options_of_a_call(self) -> None:
        runner = IsolatedTestRunner(max_concurrent_processes=2)
        given: tuple[tuple[Any, str], ...] = (
            (5, "invalid value 5; expected IsolatedTestOptions or a mapping"),
            ({"proces_timeout": 5}, "unknown option 'proces_timeout'; did you mean 'process_timeout'"),
            ({"process_timeout": "soon"}, "process_timeout: invalid value 'soon'; expected a number of seconds"),
            ({"process_timeout": 20000}, "process_timeout: invalid value 20000; that is 5.6 hours"),
            ({"test_sdk_options": 5}, "test_sdk_options: invalid value 5"),
        )
        for wrong, why in given:
            with self.subTest(wrong), self.assertRaisesRegex(OptionError, f"^the options of a call: {why}"):
                runner.options_of_call(wrong)
        own = IsolatedTestOptions(max_concurrent_processes=2)
        self.assertIs(runner.options_of_call(own), own)
        self.assertEqual(runner.options_of_call({"test_sdk_options": {"sdk": "a:B"}}).test_sdk_options.sdk, "a:B")


class RunnerTest(unittest.TestCase):
    def test_a_logger_and_options_by_position(self) -> None:
        logger = logging.getLogger("mine")
        values: OptionValues = {"process_timeout": 15, "jobs": 3}
        for options in (values, IsolatedTestOptions(process_timeout=15)):
            runner = IsolatedTestRunner(logger, options)
            self.assertEqual(runner.options.process_timeout, 15.0)
            self.assertIs(runner._process_log._logger, logger)
        with self.assertRaisesRegex(OptionError, r"stream: invalid value \{'process_timeout': 15\}; expected a stream"):
            IsolatedTestRunner({"process_timeout": 15})  # type: ignore[arg-type]
        with self.assertRaisesRegex(OptionError, "options: invalid value 5; expected options or a mapping"):
            IsolatedTestRunner(options=5)  # type: ignore[arg-type]

    def test_what_prepares_its_processes(self) -> None:
        for values, why in (
            ({"preload": "numpy"}, "^IsolatedTestRunner: preload: invalid value 'numpy'; expected a list"),
            ({"initializer": 5}, "^IsolatedTestRunner: initializer: invalid value 5; expected a function"),
        ):
            with self.assertRaisesRegex(OptionError, why):
                IsolatedTestRunner(**values)

    def test_preludes_of_the_environment_can_be_unset(self) -> None:
        with patch.dict(os.environ, ISOLATEDUNIT_PRELOAD="numpy"):
            for values, expected in (({}, ("numpy",)), ({"preload": ["a"]}, ("a",)), ({"preload": ()}, ())):
                runner = IsolatedTestRunner(**values)
                self.assertEqual(runner.options.preload, expected)

    def test_statistics_are_attributes_and_items(self) -> None:
        statistics = IsolatedTestRunner().get_statistics()
        self.assertEqual(statistics.total_processes_spawned, statistics["total_processes_spawned"])
        self.assertEqual(json.loads(json.dumps(statistics))["failed_tests"], 0)
