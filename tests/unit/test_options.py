"""Options: without these tests, a value could be read wrongly, or come from a weaker source than it should."""

from __future__ import annotations

import itertools
import os
import unittest
import unittest.mock
from typing import Any
from unittest import mock

from isolatedunit.cli.parser import make_parser, parse
from isolatedunit.config.options import PER_TEST, TABLE, Options, expectation, read
from isolatedunit.config.sources import load_options, load_options_with_origins
from isolatedunit.errors import OptionError
from tests.support.projects import ProjectTestCase


class ReadTest(unittest.TestCase):
    def test_values_that_can_be_used(self) -> None:
        for name, given, meant in (
            ("process_timeout", "2.5", 2.5),
            ("process_timeout", 3, 3.0),
            ("process_timeout", "none", None),
            ("memory_limit", "512M", 512 * 2**20),
            ("memory_limit", "1.5G", 3 * 2**29),
            ("memory_limit", "2gib", 2 * 2**30),
            ("memory_limit", "100KB", 100 * 2**10),
            ("memory_limit", 4096, 4096),
            ("memory_limit", "none", None),
            ("max_concurrent_processes", "auto", "auto"),
            ("max_concurrent_processes", "3", 3),
            ("retries", "0", 0),
            ("isolation", "class", "class"),
            ("leaks", "warn", "warn"),
            ("leaks", "auto", "auto"),
            ("leaks", "fail:files, sockets,processes,file", "fail:file,files,socket,process"),
            ("track_handles", "off", "off"),
            ("failfast", "yes", True),
            ("failfast", False, False),
            ("capture", "off", False),
            ("patterns", "one\n*two*\n", ("*one*", "*two*")),
            ("patterns", ["one"], ("*one*",)),
        ):
            with self.subTest(name=name, given=given):
                self.assertEqual(read(name, given, "here"), meant)

    def test_values_that_cannot(self) -> None:
        for name, given in (
            ("process_timeout", "soon"),
            ("process_timeout", 0),
            ("process_timeout", -1),
            ("process_timeout", "inf"),
            ("process_timeout", "nan"),
            ("process_timeout", True),
            ("heartbeat_interval", "none"),
            ("memory_limit", "512X"),
            ("memory_limit", "M"),
            ("memory_limit", 0),
            ("max_concurrent_processes", 0),
            ("max_concurrent_processes", "many"),
            ("max_concurrent_processes", 2.5),
            ("leaks", "fail:"),
            ("leaks", "auto:process"),
            ("leaks", "fail:proces"),
            ("leaks", "never"),
            ("track_handles", True),
            ("retries", -1),
            ("isolation", "package"),
            ("isolation", None),
            ("failfast", "perhaps"),
            ("patterns", [1]),
            ("json", 1),
        ):
            with self.subTest(name=name, given=given), self.assertRaises(OptionError) as caught:
                read(name, given, "the place")
            self.assertRegex(str(caught.exception), r"^the place: .*; expected .*\.$")
            self.assertIn(repr(given), str(caught.exception))

    def test_every_option_says_what_it_expects(self) -> None:
        for name in TABLE:
            self.assertTrue(expectation(name), name)

    def test_defaults_can_be_used(self) -> None:
        for name, option in TABLE.items():
            self.assertEqual(read(name, option.default, name), option.default)

    def test_defaults_of_the_seed(self) -> None:
        options = Options()
        self.assertEqual(options.process_timeout, 30.0)
        self.assertEqual(options.spawn_timeout, 5.0)
        self.assertEqual(options.cleanup_timeout, 10.0)
        self.assertEqual(options.max_concurrent_processes, 4)
        self.assertEqual(options.heartbeat_interval, 1.0)

    def test_what_a_test_may_override_is_about_the_test(self) -> None:
        self.assertLessEqual({"process_timeout", "retries", "memory_limit", "isolation"}, PER_TEST)
        self.assertFalse({"json", "max_concurrent_processes", "verbosity", "failfast"} & PER_TEST)


class SourcesTest(ProjectTestCase):
    """The command line wins over the environment, which wins over pyproject.toml, which wins over setup.cfg."""

    def setUp(self) -> None:
        super().setUp()
        before = os.getcwd()
        os.chdir(self.directory)
        self.addCleanup(os.chdir, before)

    def load(self, **environment: str) -> Options:
        return load_options(Options(), environment=environment)

    def test_nothing(self) -> None:
        self.assertEqual(self.load(), Options())

    def test_setup_cfg(self) -> None:
        self.write("setup.cfg", "[isolatedunit]\nprocess_timeout = 7\njobs = 3\npatterns =\n    one\n    two\n")
        options = self.load()
        self.assertEqual((options.process_timeout, options.max_concurrent_processes), (7.0, 3))
        self.assertEqual(options.patterns, ("*one*", "*two*"))

    def test_pyproject_toml(self) -> None:
        self.write(
            "pyproject.toml", '[tool.isolatedunit]\nprocess_timeout = 8\nisolation = "class"\npatterns = ["x"]\n'
        )
        options = self.load()
        self.assertEqual((options.process_timeout, options.isolation, options.patterns), (8.0, "class", ("*x*",)))

    def test_precedence(self) -> None:
        self.write(
            "setup.cfg", "[isolatedunit]\nprocess_timeout = 1\nspawn_timeout = 1\ncleanup_timeout = 1\nretries = 1\n"
        )
        self.write(
            "pyproject.toml", "[tool.isolatedunit]\nprocess_timeout = 2\nspawn_timeout = 2\ncleanup_timeout = 2\n"
        )
        os.environ.update(ISOLATEDUNIT_PROCESS_TIMEOUT="3", ISOLATEDUNIT_SPAWN_TIMEOUT="3")
        self.addCleanup(os.environ.pop, "ISOLATEDUNIT_PROCESS_TIMEOUT")
        self.addCleanup(os.environ.pop, "ISOLATEDUNIT_SPAWN_TIMEOUT")
        options, _ = parse(["--process-timeout", "4"])
        self.assertEqual(
            (options.process_timeout, options.spawn_timeout, options.cleanup_timeout, options.retries), (4, 3, 2, 1)
        )

    def test_environment(self) -> None:
        options = self.load(ISOLATEDUNIT_JOBS="2", ISOLATEDUNIT_FAILFAST="1", OTHER="x")
        self.assertEqual((options.max_concurrent_processes, options.failfast), (2, True))

    def test_a_file_of_ones_own(self) -> None:
        self.write("setup.cfg", "[isolatedunit]\nretries = 1\n")
        toml = self.write("mine.toml", "[tool.isolatedunit]\nprocess_timeout = 5\n")
        cfg = self.write("mine.cfg", "[isolatedunit]\nprocess_timeout = 6\n")
        options = load_options(Options(), config=toml, environment={})
        self.assertEqual((options.process_timeout, options.retries), (5.0, 0))
        self.assertEqual(load_options(Options(), environment={"ISOLATEDUNIT_CONFIG": cfg}).process_timeout, 6.0)

    def check_complaint(self, *parts: str, **environment: str) -> None:
        with self.assertRaises(OptionError) as caught:
            self.load(**environment)
        for part in parts:
            self.assertIn(part, str(caught.exception))

    def test_complaints_name_the_place_the_value_and_what_to_do(self) -> None:
        self.check_complaint("ISOLATEDUNIT_RETRIES", "'x'", "a whole number", ISOLATEDUNIT_RETRIES="x")
        self.check_complaint(
            "ISOLATEDUNIT_PROCES_TIMEOUT", "did you mean 'process_timeout'?", ISOLATEDUNIT_PROCES_TIMEOUT="1"
        )
        self.check_complaint("ISOLATEDUNIT_QWERTY", "expected one of:", ISOLATEDUNIT_QWERTY="1")
        self.check_complaint("'gone.toml' does not exist", "name an existing", ISOLATEDUNIT_CONFIG="gone.toml")
        self.write("pyproject.toml", "[tool.isolatedunit]\nisolaton = 'test'\n")
        self.check_complaint("pyproject.toml", "'isolaton'", "did you mean 'isolation'?")
        self.write("pyproject.toml", "[tool.isolatedunit\n")
        self.check_complaint("pyproject.toml", "cannot be read")
        self.write("pyproject.toml", "tool.isolatedunit = 3\n")
        self.check_complaint("pyproject.toml", "must be a table")
        override = "[[tool.isolatedunit.overrides]]\ntests = '*'\n"
        for text, complaint in (
            ("[tool.isolatedunit.groups]\ndb = 0", "groups: db: invalid value 0; expected a whole number that is at"),
            ("[tool.isolatedunit.overrides]\ntests = 3", "overrides: invalid value {'tests': 3}; expected tables"),
            (f"{override}slow_after = 'x'", "overrides: the override for '*': slow_after: invalid value 'x'"),
            (f"{override}json = 'x'", "overrides: the override for '*': 'json' cannot be set for single tests"),
        ):
            self.write("pyproject.toml", f"{text}\n")
            self.check_complaint(f"pyproject.toml: {complaint}")
        os.unlink("pyproject.toml")
        self.write("setup.cfg", "[isolatedunit.override.x]\ntests = *\n")
        self.check_complaint("setup.cfg: unknown section [isolatedunit.override.x]; expected [isolatedunit.groups], [")
        self.write("setup.cfg", "[isolatedunit]\nfork_after = tests\n")
        self.check_complaint("setup.cfg", "invalid value 'tests'", "one of start, import, fixtures")
        self.write("setup.cfg", "nonsense\n")
        self.check_complaint("setup.cfg cannot be read: File contains no section headers. file: 'setup.cfg', line")

    def test_presets(self) -> None:
        self.write("setup.cfg", "[isolatedunit.presets.ci]\nretries = 1\nspawn_timeout = 1\n")
        self.write(
            "pyproject.toml",
            """
            [tool.isolatedunit]
            retries = 5
            leaks = "warn"
            process_timeout = 5

            [tool.isolatedunit.presets.ci]
            spawn_timeout = 2
            leaks = "fail"
            [[tool.isolatedunit.presets.ci.overrides]]
            tests = "*"
            retries = 3
            """,
        )
        self.assertEqual((self.load().retries, self.load().leaks), (5, "warn"))
        for options in (
            self.load(ISOLATEDUNIT_PRESET="ci", ISOLATEDUNIT_PROCESS_TIMEOUT="7"),
            parse(["--preset", "ci", "--process-timeout", "7"])[0],
        ):
            self.assertEqual((options.retries, options.spawn_timeout, options.leaks), (1, 2.0, "fail"))
            self.assertEqual((options.process_timeout, options.overrides), (7.0, (("*", {"retries": 3}),)))
        self.assertEqual(
            load_options_with_origins(Options(), preset="ci", environment={})[1]["leaks"],
            "the preset ci in pyproject.toml",
        )
        self.check_complaint("--preset: unknown preset 'cii'; did you mean 'ci'?", ISOLATEDUNIT_PRESET="cii")
        self.check_complaint("unknown preset 'nightly'; expected one of: ci.", ISOLATEDUNIT_PRESET="nightly")
        self.write("pyproject.toml", "[tool.isolatedunit.presets.ci]\nretrys = 1\n")
        self.check_complaint("pyproject.toml: presets: ci: unknown option 'retrys'; did you mean 'retries'?")
        self.write("pyproject.toml", "[tool.isolatedunit.presets]\nci = 1\n")
        self.check_complaint("pyproject.toml: presets: invalid value {'ci': 1}; expected tables")
        os.unlink("setup.cfg")
        self.write("pyproject.toml", "")
        self.check_complaint("unknown preset 'ci'; no configuration file has presets.", ISOLATEDUNIT_PRESET="ci")

    def test_a_file_of_others(self) -> None:
        self.write("pyproject.toml", "tool = 3\n")
        self.write("setup.cfg", "[other]\nretries = 1\n")
        self.assertEqual(self.load(), Options())


class CommandLineTest(ProjectTestCase):
    def parse(self, *arguments: str) -> tuple[Options, list[str]]:
        before = os.getcwd()
        os.chdir(self.directory)
        try:
            return parse(arguments)
        finally:
            os.chdir(before)

    def test_every_form_of_unittest(self) -> None:
        for arguments, start, pattern, top, names in (
            ((), ".", "test*.py", None, []),
            (("discover",), ".", "test*.py", None, []),
            (("discover", "-s", "a", "-p", "b", "-t", "c"), "a", "b", "c", []),
            (("discover", "a", "b", "c"), "a", "b", "c", []),
            (("discover", "-v", "a", "-f"), "a", "test*.py", None, []),
            (("-v",), ".", "test*.py", None, []),
            (
                ("mod", "mod.Class.test", "path/test_x.py"),
                ".",
                "test*.py",
                None,
                ["mod", "mod.Class.test", "path/test_x.py"],
            ),
        ):
            with self.subTest(arguments):
                options, found = self.parse(*arguments)
                where = (options.start_directory, options.pattern, options.top_level_directory)
                self.assertEqual((where, found), ((start, pattern, top), names))

    def test_a_value_that_may_be_left_out(self) -> None:
        for arguments, value, names in (
            (["--debug-adapter", "test_it"], 5678, ["test_it"]),
            (["--debug-adapter", "5", "test_it"], 5, ["test_it"]),
            (["--debug-adapter=5", "6"], 5, ["6"]),
            (["--debug-adapter", __file__], 5678, [__file__]),
            (["test_it", "--debug-adapter"], 5678, ["test_it"]),
        ):
            options, found = self.parse(*arguments)
            self.assertEqual((options.debug_adapter, found), (value, names))
        self.assertEqual(self.parse("--profile", "7")[1], ["7"], "a test may have this name")
        with self.assertRaisesRegex(OptionError, "--profile: '/no/such' does not exist; .* write --profile=/no/such"):
            self.parse("--profile", "/no/such", "test_it")

    def test_options_of_unittest(self) -> None:
        options, _ = self.parse("-v", "-f", "-c", "-b", "-k", "one", "-k", "t*o", "--locals", "--durations", "3")
        self.assertEqual(
            (options.verbosity, options.failfast, options.catchbreak, options.buffer, options.tb_locals),
            (2, True, True, True, True),
        )
        self.assertEqual((options.patterns, options.durations), (("*one*", "t*o"), 3))
        self.assertEqual(self.parse("--quiet")[0].verbosity, 0)

    def test_help_reads_well_in_80_columns(self) -> None:
        with mock.patch.dict(os.environ, COLUMNS="80"):
            shown = make_parser().format_help()
        self.assertLessEqual(max(map(len, shown.splitlines())), 80)
        for title in ("isolation:", "limits:", "terminal output:", "report files:", "commands, each"):
            self.assertIn(f"\n{title}", shown)

    def test_every_option_of_the_table_has_its_flag(self) -> None:
        given: dict[str, tuple[list[str], Any]] = {
            "debug": (["--debug"], True),
            "pdb": (["--pdb"], True),
            "debug_adapter": (["--debug-adapter"], 5678),
            "trace_imports": (["--trace-imports"], True),
            "watch": (["--watch"], True),
            "summary": (["--summary", "x.md"], "x.md"),
            "keep_scratch": (["--keep-scratch"], True),
            "exclude": (["--exclude", "x", "--exclude", "a and not b"], ("*x*", "a and not b")),
            "tags": (["--tag", "slow", "--tag", "db or net"], ("slow", "db or net")),
            "exclude_tags": (["--exclude-tag", "slow"], ("slow",)),
            "isolation": (["--isolation", "class"], "class"),
            "start_method": (["--start-method", "spawn"], "spawn"),
            "fork_after": (["--fork-after", "start"], "start"),
            "sandbox": (["--sandbox", "auto"], "auto"),
            "sandbox_network": (["--sandbox-network", "private"], "private"),
            "sandbox_writable": (["--sandbox-writable", "a", "--sandbox-writable", "b"], ("a", "b")),
            "parallel_by": (["--parallel-by", "test"], "test"),
            "executor": (["--executor", "dask"], "dask"),
            "container": (["--container", "debian:13"], "debian:13"),
            "container_engine": (["--container-engine", "podman"], "podman"),
            "container_per": (["--container-per", "test"], "test"),
            "container_network": (["--container-network", "host"], "host"),
            "wasm_python": (["--wasm-python", "python.wasm"], "python.wasm"),
            "scheduler": (["--scheduler", "tcp://127.0.0.1:8786"], "tcp://127.0.0.1:8786"),
            "max_concurrent_processes": (["-j", "7"], 7),
            "process_timeout": (["--process-timeout", "1"], 1.0),
            "spawn_timeout": (["--spawn-timeout", "1"], 1.0),
            "cleanup_timeout": (["--cleanup-timeout", "1"], 1.0),
            "terminate_grace": (["--terminate-grace", "1"], 1.0),
            "heartbeat_interval": (["--heartbeat-interval", "0.5"], 0.5),
            "slow_after": (["--slow-after", "1"], 1.0),
            "memory_limit": (["--memory-limit", "1M"], 2**20),
            "cpu_limit": (["--cpu-limit", "1"], 1.0),
            "retries": (["--retries", "1"], 1),
            "enable_ipc": (["--no-ipc"], False),
            "enable_process_logging": (["--process-logging"], True),
            "leaks": (["--leaks", "fail:processes,thread"], "fail:process,thread"),
            "setup": (["--setup", "tests.env:start"], "tests.env:start"),
            "teardown": (["--teardown", "env:One.stop"], "env:One.stop"),
            "slot_setup": (["--slot-setup", "env:start"], "env:start"),
            "slot_teardown": (["--slot-teardown", "env:stop"], "env:stop"),
            "preload": (["--preload", "a.b:c", "--preload", "d"], ("a.b:c", "d")),
            "allowed_leaks": (["--allow-leak", "file */x.log # kept"], ("file */x.log # kept",)),
            "track_handles": (["--track-handles", "on"], "on"),
            "capture": (["--no-capture"], False),
            "memory_growth_limit": (["--memory-growth-limit", "5M"], 5 * 2**20),
            "hunt_leaks": (["--hunt-leaks", "3"], 3),
            "leaks_baseline": (["--leaks-baseline", "none"], None),
            "stats": (["--stats"], True),
            "history": (["--history", "none"], None),
            "failed_first": (["--failed-first"], True),
            "shard": (["--shard", "2/3"], (2, 3)),
            "json": (["--json", "x.json"], "x.json"),
            "max_output": (["--max-output", "5M"], 5 * 2**20),
            "max_processes": (["--max-processes", "3"], 3),
            "max_open_files": (["--max-open-files", "64"], 64),
            "watchdog_timeout": (["--watchdog-timeout", "7"], 7.0),
            "groups": (["--group-limit", "database=2", "--group-limit", "x = 1"], (("database", 2), ("x", 1))),
            "retry_on": (["--retry-on", "crash,timeout", "--retry-on", "failed"], ("crash", "timeout", "failed")),
            "retry_delay": (["--retry-delay", "0.5"], 0.5),
            "retry_backoff": (["--retry-backoff", "exponential"], "exponential"),
            "flaky": (["--flaky", "fail"], "fail"),
            "max_failures": (["--max-failures", "3"], 3),
            "max_crashes": (["--max-crashes", "2"], 2),
            "run_timeout": (["--run-timeout", "60"], 60.0),
            "warm": (["--warm", "off"], "off"),
            "immortal": (["--immortal", "off"], "off"),
            "junit_xml": (["--junit-xml", "x.xml"], "x.xml"),
            "junit_strict": (["--junit-strict"], True),
            "events": (["--events", "-"], "-"),
            "events_lifeline": (["--no-events-lifeline"], False),
            "tap": (["--tap", "x.tap"], "x.tap"),
            "subunit": (["--subunit", "x"], "x"),
            "trace": (["--trace", "x"], "x"),
            "html": (["--html", "x.html"], "x.html"),
            "serve": (["--serve", "8000"], ("127.0.0.1", 8000)),
            "serve_token": (["--serve-token", "0123456789abcdef"], "0123456789abcdef"),
            "profile": (["--profile"], "isolatedunit-profile"),
            "profiler": (["--profiler", "pyinstrument"], "pyinstrument"),
            "coverage": (["--coverage"], True),
            "last_failed": (["--last-failed"], True),
            "shuffle": (["--shuffle"], True),
            "seed": (["--seed", "7"], 7),
            "hash_seed": (["--hash-seed", "7"], 7),
            "repeat": (["--repeat", "3"], 3),
            "until_failure": (["--until-failure"], True),
            "show_output": (["--show-output", "live"], "live"),
            "show_failures": (["--show-failures", "final"], "final"),
            "progress": (["--no-progress"], False),
            "color": (["--color", "never"], "never"),
            "annotations": (["--annotations", "azure"], "azure"),
            "slowest": (["--slowest"], True),
        }
        # which files, classes and methods set
        of_some_tests = {"group", "exclusive", "slots", "overrides", "quarantine"}
        of_unittest = {*itertools.takewhile(lambda name: name != "exclude", TABLE)}
        own = TABLE.keys() - of_unittest - of_some_tests
        self.assertEqual(set(given), own)
        for name, (arguments, value) in given.items():
            with self.subTest(name):
                self.assertEqual(getattr(self.parse(*arguments)[0], name), value)

    def test_the_command_line_uses_every_processor_by_default(self) -> None:
        with unittest.mock.patch.dict(os.environ):
            os.environ.pop("ISOLATEDUNIT_MAX_CONCURRENT_PROCESSES", None)  # which may be set for this very run
            self.assertEqual(self.parse()[0].max_concurrent_processes, "auto")
