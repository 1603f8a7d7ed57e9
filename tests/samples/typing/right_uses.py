"""Uses of every form, of which no type checker complains, and whose types are as they are asserted here."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from concurrent.futures import as_completed, wait
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from isolatedunit import (
    CallOptionValues,
    IsolatedFuture,
    IsolatedTestCase,
    IsolatedTestOptions,
    IsolatedTestResult,
    IsolatedTestRunner,
    OptionValues,
    SDKAdapter,
    TestInstance,
    TestSDKOptions,
    events,
    isolated,
    tag,
)

if TYPE_CHECKING:
    from typing_extensions import assert_type


def add(test: TestInstance, a: int, b: int = 0) -> int:
    return a + b


def check(test: TestInstance, user: str, *, admin: bool = False) -> dict[str, bool]:
    return {"admin": admin}


def must(test: TestInstance, *, name: str) -> str:
    return name


def any_number(test: object, *numbers: int) -> int:
    return sum(numbers)


def crash(test: TestInstance) -> None:
    os.abort()


async def fetch(test: TestInstance, name: str) -> bytes:
    return name.encode()


class Tester:
    def work(self, test: TestInstance, n: int) -> list[int]:
        return [n]


def numbers() -> Iterator[int]:
    yield from range(3)


def show(progress: events.ProgressMade) -> None:
    print(progress.fraction, progress.text)


def listen(event: events.Event) -> None:
    if isinstance(event, events.TestFinished):
        print(event.report.outcome)


def check_types() -> None:
    with IsolatedTestRunner() as runner:
        assert_type(runner, IsolatedTestRunner)
        # one by one
        assert_type(runner.run_isolated_test(add, 1), IsolatedTestResult[int])
        assert_type(runner.run_isolated_test(add, 1, b=2).unwrap(), int)
        assert_type(runner.submit(check, "Ada", admin=True), IsolatedFuture[dict[str, bool]])
        assert_type(runner.run_isolated_test(crash), IsolatedTestResult[None])
        assert_type(runner.run_isolated_test(lambda test: 6 * 7).test_results, "int | None")
        assert_type(runner.submit(Tester().work, 1).result().unwrap(), list[int])
        assert_type(runner.run_isolated_test(any_number, 1, 2, 3), IsolatedTestResult[int])
        # in one tuple or list, with options behind it
        assert_type(runner.run_isolated_test(add, (1, 2)), IsolatedTestResult[int])
        assert_type(runner.run_isolated_test(add, (1,), {"process_timeout": 5}), IsolatedTestResult[int])
        assert_type(runner.run_isolated_test(check, ["Ada"], {"memory_limit": "1G"}).unwrap(), dict[str, bool])
        assert_type(runner.run_isolated_test(any_number, (1, 2, 3)), IsolatedTestResult[int])
        assert_type(runner.run_isolated_test(crash, (), None), IsolatedTestResult[None])
        assert_type(runner.run_isolated_test(crash, [], IsolatedTestOptions()), IsolatedTestResult[None])
        assert_type(runner.submit(add, args=(1, 2), options={"retries": 1}), IsolatedFuture[int])
        # with options, progress and keywords
        assert_type(runner.submit(add, 1, options={"process_timeout": timedelta(hours=3)}), IsolatedFuture[int])
        assert_type(runner.submit(check, "Ada", admin=True, options={"leaks": "fail"}), IsolatedFuture[dict[str, bool]])
        assert_type(runner.submit(add, 1, on_progress=show), IsolatedFuture[int])
        assert_type(runner.submit(add, 1, 2, options=None, on_progress=print), IsolatedFuture[int])
        assert_type(runner.run_isolated_test(must, name="Ada"), IsolatedTestResult[str])
        assert_type(runner.run_isolated_test(must, kwargs={"name": "Ada"}, options={}), IsolatedTestResult[Any])
        # a coroutine's value
        assert_type(runner.run_isolated_test(fetch, "a"), IsolatedTestResult[bytes])
        assert_type(runner.run_isolated_test(fetch, ("a",), {"cpu_limit": 1}).unwrap(), bytes)
        assert_type(runner.submit(fetch, "a", options={}), IsolatedFuture[bytes])

        options: CallOptionValues = {"process_timeout": 5, "test_sdk_options": {"sdk": "weather:Client"}}
        runner.run_isolated_test(add, 1, options=options)
        for result in runner.map(add, [1, 2], chunksize=2, timeout=60):
            assert_type(result, IsolatedTestResult[int])
        assert_type(list(runner.map(add, numbers(), range(3), unwrap=True)), list[int])
        assert_type(next(runner.map(fetch, "abc", options=options, unwrap=True)), bytes)
        futures = [runner.submit(add, n) for n in range(3)]
        wait(futures)
        assert_type(sum(future.result().unwrap() for future in as_completed(futures)), int)
        futures[0].on_progress(show)

        wide: IsolatedTestResult[object] = runner.run_isolated_test(add, 1)
        assert_type(wide.handle_stats.leaked, int)
        assert wide.handle_stats["leaked"] == 0 and wide.memory_usage["own"] is None
        assert_type(wide.memory_usage.peak_rss, "int | None")
        assert wide.session is None or wide.session.id == wide.session["id"]
        statistics = runner.get_statistics()
        assert_type(statistics.failed_tests, int)
        assert statistics["failed_tests"] == 0 and sorted(statistics)


def make_runners() -> list[IsolatedTestRunner]:
    values: OptionValues = {"jobs": "auto", "retry_on": ["crash", "timeout"], "groups": {"db": 1}}
    options = IsolatedTestOptions(process_timeout=15, max_concurrent_processes="auto", cleanup_timeout=None)
    assert_type(options.process_timeout, "float | None")
    return [
        IsolatedTestRunner(process_timeout=5, max_concurrent_processes=2, verbosity=2, failfast=True),
        IsolatedTestRunner(logging.getLogger("calls"), options),
        IsolatedTestRunner(options=values, listeners=[print, listen], test_sdk_options={"replies": {"execute": 1}}),
        IsolatedTestRunner(start_method="spawn", preload=["json"], initializer=print, initargs=("ready",)),
        IsolatedTestRunner(options={"test_sdk_options": TestSDKOptions(), "durations": 3}),
    ]


class WeatherAdapter(SDKAdapter):
    session_patterns = ("WEATHER_*",)

    def mock_environment(self) -> dict[str, str]:
        return {"WEATHER_API_KEY": "good for nothing"}


class WeatherTest(IsolatedTestCase):
    sdk_options = TestSDKOptions(sdk=WeatherAdapter(), mock_level="full_mock", replies={"execute": 20.0})
    process_timeout = 5.0

    @isolated(isolation="test", memory_limit="512M", retries=1)
    @tag("slow")
    def test_london(self) -> None:
        self.assertEqual(self.sdk.execute_with_sdk("London"), 20.0)
        assert_type(self.session_id, str)
        self.handle_tracker.track(open(os.devnull), close=None)  # noqa: SIM115
        self.ipc.progress(0.5, "half")


class MappingTest(IsolatedTestCase):
    sdk_options = {"mock_level": "none", "sdk": "weather:Client"}


def use(test: TestInstance) -> str:
    sdk, session_id, handle_tracker = test
    assert_type(test["session_id"], str)
    test["sdk"].execute_with_sdk("London")
    return test["temporary_directory"]


async def use_async() -> None:
    async with IsolatedTestRunner() as runner:
        assert_type(runner, IsolatedTestRunner)
        assert_type(await runner.run_isolated_test_async(fetch, "a"), IsolatedTestResult[bytes])
        assert_type(await runner.run_isolated_test_async(add, (1, 2), {"leaks": "ignore"}), IsolatedTestResult[int])
        async for value in runner.map(fetch, ["a", "b"], unwrap=True):
            assert_type(value, bytes)
        await asyncio.gather(*(runner.run_isolated_test_async(add, n) for n in range(3)))
