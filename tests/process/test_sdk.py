"""SDK fixtures in a run: without these tests, cassettes and sessions could get lost between the processes."""

from __future__ import annotations

import os
import tempfile
import unittest
from typing import Any
from unittest import mock

from isolatedunit import (
    CallOptionValues,
    IsolatedTestOptions,
    IsolatedTestRunner,
    TestInstance,
    TestSDKOptions,
)
from tests.support.command_line import environment, run_python
from tests.support.paths import SAMPLES
from tests.support.projects import ProjectTestCase
from tests.support.sdk import CALLERS, FAKE, SDKCase
from tests.support.start_methods import START_METHODS


class CallsTest(SDKCase):
    """An isolated call, and an isolated test case, with an SDK."""

    def test_a_call_with_an_sdk(self) -> None:
        def use(test: TestInstance) -> tuple[Any, ...]:
            return test.sdk.execute_with_sdk("hello"), test.session_id == test.sdk.session_id, os.environ["HOME"]

        options = IsolatedTestOptions(test_sdk_options=TestSDKOptions(sdk=FAKE, replies={"execute": "mocked"}))
        with mock.patch.dict(os.environ, CALLERS), IsolatedTestRunner(options=options) as runner:
            first, second = (runner.run_isolated_test(use) for _ in range(2))
            self.assertTrue(first.success, first.error)
            self.assertEqual(first.unwrap()[:2], ("mocked", True))
            self.assertNotEqual(first.unwrap()[2], second.unwrap()[2])
            self.assertEqual(first.handle_stats["leaked"], 0)
            assert first.session is not None
            self.assertEqual(first.session["behavior"], "isolated")
            assert second.session is not None
            self.assertNotEqual(first.session["id"], second.session["id"])
            self.assertEqual(first.session["found"].get("FAKE_TOKEN"), "a-***")
            failed = runner.run_isolated_test(use, options={"test_sdk_options": TestSDKOptions(sdk="nothing")})
            self.assertIn("'nothing' is not registered", failed.error or "")

    def test_what_a_call_leaves_in_its_sessions_directories_is_a_leak(self) -> None:
        def leave(_: TestInstance) -> str:
            return tempfile.mkdtemp()

        options: CallOptionValues = {"test_sdk_options": TestSDKOptions(sdk=FAKE), "leaks": "fail"}
        with IsolatedTestRunner() as runner:
            left = runner.run_isolated_test(leave, options=options)
            self.assertEqual((left.cause, left.handle_stats.by_kind), ("leak", {"temporary": 1}))
            self.assertIn(" in leave", left.handle_stats.leaks[0]["origin"])
            clean = runner.run_isolated_test(lambda _: os.environ["HOME"], options=options)
        self.assertEqual(clean.handle_stats.leaked, 0)
        self.assertFalse(os.path.exists(os.path.dirname(clean.unwrap())))

    def test_calls_share_a_session_that_is_to_be_shared(self) -> None:
        options = IsolatedTestOptions(test_sdk_options=TestSDKOptions(sdk=FAKE, session_behavior="shared"))
        with IsolatedTestRunner(options=options) as runner:
            ids = {runner.run_isolated_test(lambda test: test.session_id).test_results for _ in range(3)}
        self.assertEqual(len(ids), 1)


class CaseTest(ProjectTestCase):
    SUITE = """
        import os
        import unittest
        from isolatedunit import IsolatedTestCase, TestSDKOptions

        class WithSDK(IsolatedTestCase):
            sdk_options = TestSDKOptions(sdk="fake_sdk:Client", mock_level="none", session_behavior="isolated")

            def setUp(self):
                self.assertEqual(self.sdk.session_id, self.session_id)
                self.addCleanup(lambda: self.assertFalse(self.sdk.closed))

            def test_one(self):
                self.assertIsNone(self.sdk.client.token)
                self.handle_tracker.track(open(os.devnull), close=lambda: None)
                with open(type(self).__name__, "a") as file:
                    file.write(self.session_id + chr(10))

            test_two = test_one

        class Sharing(WithSDK):
            sdk_options = TestSDKOptions(sdk="fake_sdk:Client", mock_level="none", session_behavior="shared")

        class InHere(IsolatedTestCase):
            sdk_options = TestSDKOptions(sdk="fake_sdk:Client", process_isolation=False)

            def test_process(self):
                self.assertEqual(os.environ.get("OUTER", str(os.getpid())), str(os.getpid()))
                self.assertTrue(self.sdk.calls == [])
        """

    def ids(self, name: str) -> list[str]:
        """The session ids that the tests of this class noted."""
        path = os.path.join(self.directory, name)
        with open(path, encoding="utf-8") as file:
            found = file.read().split()
        os.unlink(path)
        return found

    def test_under_any_runner(self) -> None:
        self.write("test_sdk_sample.py", self.SUITE)
        env = environment(PYTHONPATH=os.pathsep.join([SAMPLES, environment()["PYTHONPATH"]]), **CALLERS)
        for runner in ("isolatedunit", "unittest"):
            with self.subTest(runner):
                ended = run_python("-m", runner, "test_sdk_sample", cwd=self.directory, env=env)
                self.assertEqual(ended.exit_code, 0, ended.output)
                isolated, shared = self.ids("WithSDK"), self.ids("Sharing")
                self.assertEqual((len(isolated), len(set(isolated))), (2, 2))
                self.assertEqual((len(shared), len(set(shared))), (2, 1))


class ScriptTest(ProjectTestCase):
    """What a script has, and its calls need."""

    def test_adapters_and_classes_reach_the_calls(self) -> None:
        self.write(
            "helper.py",
            """
            from isolatedunit import SDKAdapter, TestSDKFactory

            class Client:
                def execute(self, prompt):
                    return "helper " + prompt

            class Adapter(SDKAdapter):
                client_class = Client

            TestSDKFactory.register("of a helper", Adapter())
            """,
        )
        self.write(
            "script.py",
            """
            import helper
            from isolatedunit import IsolatedTestRunner, SDKAdapter, TestSDKFactory, TestSDKOptions

            class Client:
                def __init__(self, word="ran"):
                    self.word = word

                def execute(self, prompt):
                    return f"{self.word} {prompt}"

            class Mine(SDKAdapter):
                client_class = Client

                def __init__(self, word):
                    self.word = word

                def make_client(self, arguments):
                    return Client(self.word)

            def make(word="made"):
                return Client(word)

            TestSDKFactory.register("mine", Mine("registered"))

            def call(test):
                return test.sdk.execute_with_sdk("x")

            def nested(test):
                with TestSDKFactory.create(TestSDKOptions(sdk="mine", mock_level="none")) as sdk:
                    return sdk.execute_with_sdk("y")

            if __name__ == "__main__":
                with IsolatedTestRunner() as runner:
                    for sdk in ("mine", Mine("given"), Client, make, "of a helper", helper.Client):
                        options = {"test_sdk_options": TestSDKOptions(sdk=sdk, mock_level="none")}
                        print(runner.run_isolated_test(call, options=options).unwrap())
                    options = {"test_sdk_options": TestSDKOptions(sdk="mine", replies={"execute": "mocked"})}
                    print(runner.run_isolated_test(call, options=options).unwrap())
                    print(runner.run_isolated_test(nested, options=options).unwrap())
            """,
        )
        ended = run_python("script.py", cwd=self.directory)
        expected = ["registered x", "given x", "ran x", "made x", "helper x", "helper x", "mocked", "registered y"]
        self.assertEqual(ended.output.splitlines(), expected)

    @unittest.skipUnless("forkserver" in START_METHODS, "a fresh interpreter has to import all itself")
    def test_an_sdk_is_imported_once(self) -> None:
        self.write(
            "slow_sdk.py",
            """
            import os
            import time

            with open(os.environ["IMPORTS"], "a") as file:
                file.write("x")
            time.sleep(0.1)  # so that all calls wait for it

            class Client:
                def execute(self, prompt):
                    return prompt
            """,
        )
        self.write(
            "script.py",
            """
            from isolatedunit import IsolatedTestRunner, TestSDKOptions

            if __name__ == "__main__":
                options = TestSDKOptions(sdk="slow_sdk:Client", mock_level="none")
                with IsolatedTestRunner(test_sdk_options=options) as runner:
                    values = runner.map(lambda test, n: test.sdk.execute_with_sdk(n), range(4), unwrap=True)
                    print(list(values))
            """,
        )
        self.write(
            "test_slow.py",
            """
            from isolatedunit import IsolatedTestCase, TestSDKOptions

            class SlowTest(IsolatedTestCase):
                sdk_options = TestSDKOptions(sdk="slow_sdk:Client", replies={"execute": 1})

                def test_one(self):
                    self.assertEqual(self.sdk.execute_with_sdk("x"), 1)

                test_two = test_three = test_one
            """,
        )
        imports = os.path.join(self.directory, "imports")
        for command in (["script.py"], ["-m", "isolatedunit", "test_slow"]):
            with self.subTest(command[-1]):
                ended = run_python(*command, cwd=self.directory, env=environment(IMPORTS=imports))
                self.assertEqual(ended.exit_code, 0, ended.output)
                self.assertEqual(os.path.getsize(imports), 1)
                os.unlink(imports)
