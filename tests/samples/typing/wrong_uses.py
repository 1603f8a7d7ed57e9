"""Uses that are wrong, each with a type checker's complaint: the last words of its line are a part of mypy's message."""

from __future__ import annotations

import os
from datetime import timedelta

from isolatedunit import (
    IsolatedTestCase,
    IsolatedTestOptions,
    IsolatedTestResult,
    IsolatedTestRunner,
    TestInstance,
    TestSDKOptions,
    isolated,
)


def add(test: TestInstance, a: int, b: int = 0) -> int:
    return a + b


async def fetch(test: TestInstance, name: str) -> bytes:
    return name.encode()


with IsolatedTestRunner() as runner:
    runner.run_isolated_tests(add, 1)  # 1: has no attribute "run_isolated_tests"
    runner.submit(os.getcwd)  # 2: a function without a TestInstance
    runner.run_isolated_test(add, "one")  # 3: an argument of another type
    runner.run_isolated_test(add, ("one", 2))  # 4: in a tuple
    runner.run_isolated_test(add, 1, 2, 3)  # 5: too many arguments
    runner.run_isolated_test(add)  # 6: too few
    runner.run_isolated_test(add, 1, c=2)  # 7: a keyword that the function does not have
    runner.submit(add, "one", options={"retries": 1})  # 8: an argument of another type beside options
    runner.run_isolated_test(add, 1, options={"process_timout": 5})  # 9: a misspelt option
    runner.run_isolated_test(add, (1,), {"process_timeout": "5"})  # 10: a time that is no number
    name: str = runner.submit(add, 1).result().unwrap()  # 11: another type than the function returns
    runner.run_isolated_test(add, 1).test_results + 1  # 12: the value of a call that may have failed
    text: IsolatedTestResult[str] = runner.run_isolated_test(fetch, "a")  # 13: what a coroutine gives
    runner.map(add, ["one", "two"])  # 14: items of another type
    total: int = next(runner.map(add, [1, 2]))  # 15: a result in place of a value
    runner.get_statistics().processes  # 16: a figure that there is not
    runner.submit(add, 1).result().handle_stats.leak  # 17: a field that there is not
IsolatedTestRunner(max_concurent_processes=2)  # 18: a misspelt option of the runner
IsolatedTestRunner(start_method="fork")  # 19: a choice that there is not
IsolatedTestOptions(process_timeout="30")  # 20: a time that is no number
TestSDKOptions(sdk="weather:Client", mock_level="mocked")  # 21: a mock level that there is not
runner.run_isolated_test(add, 1, options={"test_sdk_options": {"mock_level": "mocked"}})  # 22: also in a mapping


def use(test: TestInstance) -> str:
    return test["sessionId"]  # 23: an item that there is not


class WrongTest(IsolatedTestCase):
    sdk_options = {"mock_levl": "full_mock"}  # 24: a misspelt field

    @isolated(process_timeout=timedelta(minutes=1), isolation="process")  # 25: a choice that there is not
    def test_something(self) -> None:
        self.handle_tracker.tracks(1)  # 26: a method that there is not


async def wait() -> None:
    async with IsolatedTestRunner(jobs="all") as executor:  # 27: a number of processes
        await executor.run_isolated_test_async(fetch, 1)  # 28: an argument of another type
        async for number in executor.map(fetch, ["a"], unwrap=True):
            number.upper_case()  # 29: bytes have no such method
