"""The pytest plugin: without these tests, an item that crashed could pass, or pytest could report another outcome."""

from __future__ import annotations

import os
import re
import unittest
from collections import Counter
from types import SimpleNamespace
from typing import Any

from isolatedunit.config.start_method import proven_start_methods
from tests.support.beyond import BEYOND
from tests.support.command_line import Completed, environment, run_python
from tests.support.optional import optional
from tests.support.projects import ProjectTestCase

FEATURES = """
    import asyncio, os, subprocess, sys, unittest, warnings
    import pytest

    STATE = []

    @pytest.fixture(scope="session")
    def of_session():
        STATE.append("session")
        yield STATE
        STATE.append("torn down")

    @pytest.fixture
    def broken():
        raise RuntimeError("no server")

    @pytest.fixture
    def breaks_at_its_end():
        yield
        raise RuntimeError("still there")

    def test_pass(of_session):
        assert of_session == ["session"]

    def test_pass_again(of_session, tmp_path):
        assert of_session == ["session"]
        assert list(tmp_path.iterdir()) == []

    def test_fail():
        print("to stdout")
        print("to stderr", file=sys.stderr)
        assert [1, 2, 3] == [1, 2, 4]

    @pytest.mark.skip(reason="not here")
    def test_skip():
        pass

    def test_skip_inside():
        pytest.skip("not now")

    @pytest.mark.xfail
    def test_xfail():
        assert False

    @pytest.mark.xfail(strict=True)
    def test_xpass():
        pass

    def test_setup_error(broken):
        pass

    def test_teardown_error(breaks_at_its_end):
        pass

    def test_warning():
        warnings.warn("old", DeprecationWarning)

    @pytest.mark.parametrize("x", [1, 2])
    def test_parameters(x, record_property):
        record_property("twice", 2 * x)

    def test_capture(capfd, caplog):
        os.write(1, b"by descriptor")
        assert capfd.readouterr().out == "by descriptor"
        with capfd.disabled():
            print("past the capture")

    class ATest(unittest.TestCase):
        def test_subtests(self):
            for i in range(3):
                with self.subTest(i=i):
                    self.assertNotEqual(i, 1)

    class AsyncTest(unittest.IsolatedAsyncioTestCase):
        async def test_it(self):
            await asyncio.sleep(0)
    """

ITEMS = """
    import os
    import pytest

    STATE = []

    @pytest.fixture(scope="session")
    def of_session():
        STATE.append("session")
        return STATE

    def test_pass(of_session, tmp_path):
        assert of_session == ["session"]

    def test_fail():
        print("to stdout")
        assert [1, 2, 3] == [1, 2, 4]

    def test_skip():
        pytest.skip("not now")

    @pytest.mark.parametrize("x", [1, 2])
    def test_parameters(x):
        assert x

    def test_exit():
        os._exit(0)
    """

HARM = """
    import os, signal, sys, time
    import pytest

    HERE = os.path.dirname(os.path.abspath(__file__))

    def test_crash(request):
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print("past the capture")
            sys.stdout.flush()
            os.write(1, b"caf\\xc3\\xa9 \\xff")
        print("said before")
        os.kill(os.getpid(), signal.SIGKILL)

    def test_exit():
        os._exit(0)

    @pytest.mark.isolated(process_timeout=0.3)
    def test_hang():
        time.sleep(600)

    @pytest.mark.isolated(retries=1)
    def test_second_time():
        path = os.path.join(HERE, "tried")
        if not os.path.exists(path):
            open(path, "w").close()
            os._exit(3)

    def test_slot():
        assert os.environ["ISOLATEDUNIT_SLOT"] in ("1", "2")
    """

MIXED = """
    import os
    import pytest

    STATE = []

    @pytest.mark.isolated
    def test_isolated():
        STATE.append(os.getpid())
        assert STATE == [os.getpid()]
        assert os.getpid() != int(os.environ["PYTEST_PROCESS"])

    def test_plain():
        STATE.append(os.getpid())
        assert STATE == [int(os.environ["PYTEST_PROCESS"])]
    """

SCOPES = """
    import os, threading
    import pytest

    STARTED = os.getpid()

    def note(text):
        with open("log", "a") as log:
            log.write(text + "\\n")

    @pytest.fixture(scope="session")
    def server():
        note("server up")
        yield {"pid": os.getpid()}
        note("server down")

    @pytest.fixture(scope="session")
    def thread(server):
        stop = threading.Event()
        started = threading.Thread(target=stop.wait)
        started.start()
        note("thread up")
        yield started
        stop.set()
        started.join()
        note("thread down")

    @pytest.fixture(scope="session")
    def needs_thread(thread):
        note("needs thread")
        return thread

    @pytest.fixture(scope="module")
    def of_module(server):
        note("module up")
        yield
        note("module down")
        raise RuntimeError("the end of the module")

    @pytest.fixture(scope="session", params=[1, 2])
    def parameter(request):
        note(f"parameter {request.param}")
        return request.param

    @pytest.fixture(scope="session")
    def broken(server):
        note("broken")
        raise RuntimeError("no server")

    def test_write(server, of_module):
        server["x"] = 1
        assert server["pid"] not in (os.getpid(), STARTED)

    def test_read(server):
        assert "x" not in server

    def test_parameter(parameter):
        assert parameter

    def test_thread(needs_thread):
        assert needs_thread.is_alive()

    def test_thread_again(needs_thread):
        assert needs_thread.is_alive()

    def test_broken(broken):
        pass

    def test_broken_too(broken):
        pass

    class TestClass:
        @pytest.fixture(scope="class")
        def of_class(self):
            note("class up")
            yield
            note("class down")

        def test_a(self, of_class):
            pass

        test_b = test_a

    class TestCrash:
        @pytest.fixture(scope="class")
        def crashes(self):
            os._exit(3)

        def test_a(self, crashes):
            pass

        def test_b(self):
            pass
    """

CONFTEST = """
    import os
    os.environ["PYTEST_PROCESS"] = str(os.getpid())
    """


REHEARSED = """
    import pytest

    def note(kind, name):
        with open("heard", "a") as file:
            file.write(f"{kind} {name.partition('::')[0]}\\n")

    @pytest.fixture(scope="session", autouse=True)
    def for_all(request):
        note("fixture", request.session.items[0].nodeid)

    def pytest_runtest_setup(item):
        note("setup", item.nodeid)

    def pytest_report_teststatus(report):
        note("status", report.nodeid)

    def pytest_report_to_serializable(report):
        note("serializable", report.nodeid)
    """


@unittest.skipUnless("forkserver" in proven_start_methods(), "there is no fork that can be relied on")
@unittest.skipIf(optional("pytest") is None, "pytest is not installed: pip install pytest")
class PytestPluginTest(ProjectTestCase):
    def pytest(self, *arguments: str, before: tuple[str, ...] = ("-m",), **more: str) -> Completed:
        """Run pytest with this plugin and no other one that is installed.

        As of all installed plugins, pytest imports each of our modules with its own loader, to rewrite assertions.
        """
        self.write("as_installed.py", "import pytest\n\npytest.register_assert_rewrite('isolatedunit')\n")
        plugins = ("-p", "as_installed", "-p", "isolatedunit.pytest_plugin.plugin", "-p", "no:cacheprovider")
        own = (*plugins, "-rA", "--color=no")
        env = environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", COLUMNS="200", **more)
        return run_python(*before, "pytest", *own, *arguments, cwd=self.directory, env=env)

    def outcomes(self, ended: Completed) -> dict[str, str]:
        """The outcome of each item, as the summary at the end of the output has them."""
        lines = re.findall(r"^(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS|SUBFAIL\S*) (\S+)", ended.output, re.MULTILINE)
        self.assertTrue(lines, ended.output)
        return {f"{where} {outcome.partition('(')[0]}": outcome.partition("(")[0] for outcome, where in lines}

    def test_reports_are_those_of_pytest(self) -> None:
        self.write("test_features.py", FEATURES)
        plain = self.pytest("--junitxml=plain.xml")
        for jobs in ("1", "2") if BEYOND else ("2",):
            isolated = self.pytest("--isolated", "--isolated-jobs", jobs, f"--junitxml={jobs}.xml")
            self.assertEqual(isolated.exit_code, 1, isolated.output)
            self.assertEqual(self.outcomes(isolated), self.outcomes(plain), isolated.output)
            self.assertEqual(self.last_line(isolated), self.last_line(plain))
            for text in ("At index 2 diff: 3 != 4", "to stdout", "to stderr", "DeprecationWarning: old"):
                self.assertIn(text, plain.output)
                self.assertIn(text, isolated.output)
            self.assertIn("past the capture", isolated.output.partition(" FAILURES ")[0])
            with open(os.path.join(self.directory, f"{jobs}.xml"), encoding="utf-8") as file:
                junit = file.read()
            self.assertIn('<property name="twice" value="4" />', junit)
            self.assertEqual(junit.count("<testcase"), self.count_in("plain.xml", "<testcase"))

    def count_in(self, name: str, text: str) -> int:
        with open(os.path.join(self.directory, name), encoding="utf-8") as file:
            return file.read().count(text)

    def last_line(self, ended: Completed) -> str:
        return ended.last_line.strip("=").rpartition(" in ")[0]

    def test_what_ends_a_process_is_told_and_the_rest_runs(self) -> None:
        self.write("test_harm.py", HARM)
        ended = self.pytest("--isolated", "--isolated-jobs", "2", PYTHONIOENCODING="ascii")
        self.assertEqual(
            self.outcomes(ended),
            {
                "test_harm.py::test_crash FAILED": "FAILED",
                "test_harm.py::test_exit FAILED": "FAILED",
                "test_harm.py::test_hang FAILED": "FAILED",
                "test_harm.py::test_second_time PASSED": "PASSED",
                "test_harm.py::test_slot PASSED": "PASSED",
            },
            ended.output,
        )
        for text in (
            *("was killed by SIGKILL before the test finished", "said before", "exited with code 0 before the test"),
            *("did not finish within", "in test_hang", "past the capture", "caf\\xe9 \\ufffd"),
        ):
            self.assertIn(text, ended.output)

    def test_without_forks_each_item_runs_in_a_fresh_interpreter(self) -> None:
        self.write("pyproject.toml", '[tool.isolatedunit]\nstart_method = "spawn"\n')
        self.write("below/test_items.py", ITEMS)
        plain = self.pytest("below", "-k", "not exit")
        isolated = self.pytest("--isolated", "--isolated-jobs=2", "below", "-k", "not exit")
        self.assertEqual(self.outcomes(isolated), self.outcomes(plain), isolated.output)
        self.assertEqual(self.last_line(isolated), self.last_line(plain))
        self.assertIn("At index 2 diff: 3 != 4", isolated.output)
        ended = self.pytest("--isolated", "below/test_items.py::test_exit")
        self.assertEqual(self.outcomes(ended), {"below/test_items.py::test_exit FAILED": "FAILED"}, ended.output)
        self.assertIn("exited with code 0 before the test", ended.output)

    def test_a_run_that_ends_early_is_not_green(self) -> None:
        self.write("test_slow.py", "import time\n\ndef test_a():\n    time.sleep(600)\n\ndef test_b():\n    pass\n")
        self.write("pyproject.toml", "[tool.isolatedunit]\nrun_timeout = 0.5\n")
        ended = self.pytest("--isolated")
        self.assertEqual(ended.exit_code, 2, ended.output)
        self.assertRegex(ended.output, "[12] tests were not run")  # the first may not even have begun

    def test_the_marker_alone_isolates_one_test(self) -> None:
        self.write("conftest.py", CONFTEST)
        self.write("test_mixed.py", MIXED)
        self.assertEqual(self.pytest().exit_code, 0)

    def test_jobs_alone_isolate_nothing_and_say_so(self) -> None:
        self.write("test_plain.py", "def test_it():\n    pass\n")
        ended = self.pytest("--isolated-jobs", "4")
        self.assertEqual(ended.exit_code, 0, ended.output)
        self.assertIn("--isolated-jobs has no effect: no test is isolated; add --isolated", ended.output)

    def test_what_cannot_be_is_said_and_what_ends_early_ends(self) -> None:
        self.write("test_mixed.py", "import pytest\n\n@pytest.mark.isolated(timeout=5)\ndef test_it():\n    pass\n")
        ended = self.pytest()
        self.assertEqual(ended.exit_code, 4, ended.output)
        self.assertIn("ERROR: test_mixed.py::test_it: pytest.mark.isolated: unknown option 'timeout'", ended.output)
        self.write("test_mixed.py", "def test_a():\n    assert 0\n\ndef test_b():\n    pass\n")
        self.assertIn(
            "--isolated-jobs: invalid value 'x'; expected", self.pytest("--isolated-jobs=x", "--isolated").output
        )
        ended = self.pytest("--isolated", "-x")
        self.assertIn("stopping after 1 failures", ended.output)
        self.assertEqual(self.outcomes(ended), {"test_mixed.py::test_a FAILED": "FAILED"})
        self.write("test_mixed.py", "def test_a():\n    pass\n")
        debugged = ("-m", "pdb", "-c", "break test_mixed.py:2, False", "-c", "continue", "-m")
        ended = self.pytest("--isolated", before=debugged)
        self.assertIn("isolatedunit: under a debugger (pdb) the tests run in this process, not isolated", ended.output)
        self.assertIn("1 passed", ended.output)

    def test_fixtures_of_higher_scopes_run_once(self) -> None:
        self.write("test_scopes.py", SCOPES)
        for jobs in ("1", "2") if BEYOND else ("1",):
            with self.subTest(jobs=jobs):
                ended = self.pytest("--isolated", "--isolated-fork-after", "fixtures", "--isolated-jobs", jobs)
                found = {name.rpartition("::")[2]: outcome for name, outcome in self.outcomes(ended).items()}
                self.assertEqual(found.pop("test_b ERROR"), "ERROR", "the fixtures of its class end their process")
                failed = [name for name, outcome in sorted(found.items()) if outcome != "PASSED"]
                broken = ["test_a ERROR", "test_broken ERROR", "test_broken_too ERROR"]
                self.assertEqual(failed, broken, ended.output)
                self.assertIn("RuntimeError: the end of the module", ended.output)
                with open(os.path.join(self.directory, "log"), encoding="utf-8") as file:
                    noted = Counter(file.read().splitlines())
                once = ("server up", "server down", "module up", "module down", "broken", "class up", "class down")
                self.assertEqual([noted.pop(name) for name in once], [1] * len(once), ended.output)
                self.assertEqual(
                    noted,
                    # once to find out that no fork can have it, and then for each test
                    {"thread up": 3, "thread down": 3, "needs thread": 2, "parameter 1": 1, "parameter 2": 1},
                )
                self.assertEqual(ended.output.count("the fixture 'thread' leaves a thread running"), 1)
                self.assertNotIn("left behind", ended.output)
                os.unlink(os.path.join(self.directory, "log"))

    @unittest.skipIf(optional("coverage") is None, "coverage is not installed: pip install isolatedunit[coverage]")
    def test_what_is_rehearsed_for_many_items_runs_nothing_of_theirs(self) -> None:
        self.write("conftest.py", REHEARSED)
        self.write(
            "test_many.py",
            """
            import pytest
            from isolatedunit.pytest_plugin import rehearsal

            @pytest.mark.parametrize("number", range(40))
            def test_many(number):
                assert rehearsal.runs == 16
            """,
        )
        ended = self.pytest("--isolated", "--isolated-jobs", "2")
        self.assertEqual(ended.exit_code, 0, ended.output)
        with open(os.path.join(self.directory, "heard"), encoding="utf-8") as file:
            heard = Counter(file.read().splitlines())
        for name in ("fixture", "setup", "status", "serializable"):
            self.assertGreaterEqual(heard[f"{name} test_many.py"], 40, heard)
        self.assertEqual(len(heard), 4, heard)

    def test_coverage_that_somebody_else_measures_has_the_lines_of_forks(self) -> None:
        self.write("test_mixed.py", "def test_a():\n    x = 1\n    assert x == 1\n")
        ended = self.pytest(
            "--isolated", before=("-m", "coverage", "run", "--parallel-mode", "--include=test_mixed.py", "-m")
        )
        self.assertEqual(ended.exit_code, 0, ended.output)
        coverage: Any = optional("coverage")
        lines: set[int] = set()
        for name in os.listdir(self.directory):
            if name.startswith(".coverage."):
                data = coverage.CoverageData(os.path.join(self.directory, name))
                data.read()
                for file in data.measured_files():
                    lines.update(data.lines(file))
                data.close()
        self.assertEqual(lines, {1, 2, 3})


class PrivateNamesTest(unittest.TestCase):
    """Where pytest or pluggy lacks a name that the plugin leans on, isolation is refused by that name."""

    def config(self, *, caller: Any, manager: Any) -> Any:
        plugins = SimpleNamespace(getplugin=lambda name: manager if name == "capturemanager" else None)
        return SimpleNamespace(hook=SimpleNamespace(pytest_runtest_logreport=caller), pluginmanager=plugins)

    def test_each_is_asked_for(self) -> None:
        from isolatedunit.pytest_plugin import private

        caller = SimpleNamespace(_remove_plugin=print)
        capture = SimpleNamespace(tmpfile=None, targetfd_save=5)
        manager = SimpleNamespace(_global_capturing=SimpleNamespace(out=capture, err=capture))
        self.assertEqual(private.missing(self.config(caller=caller, manager=manager)), [])
        lacking = private.missing(self.config(caller=SimpleNamespace(), manager=SimpleNamespace()))
        self.assertEqual(lacking, ["pluggy: HookCaller._remove_plugin", "pytest: CaptureManager._global_capturing"])
        del capture.tmpfile
        self.assertEqual(
            private.missing(self.config(caller=caller, manager=manager)),
            ["pytest: FDCapture.tmpfile (1)", "pytest: FDCapture.tmpfile (2)"],
        )


if __name__ == "__main__":
    unittest.main()
