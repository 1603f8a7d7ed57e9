"""Runs several isolated tests at once and awaits them together; at most three processes exist at the same time."""

import asyncio

from isolatedunit import IsolatedTestOptions, IsolatedTestRunner


async def check_login(test, user):
    await asyncio.sleep(0.1)
    return f"{user} is in"


def check_session(test):
    return f"session {test.session_id}"


def check_handles(test):
    with open(f"{test.temporary_directory}/file", "w") as file:
        return file.name.rpartition("/")[2]


async def main():
    options = IsolatedTestOptions(max_concurrent_processes=3, process_timeout=15)
    with IsolatedTestRunner(options=options) as runner:
        results = await asyncio.gather(
            runner.run_isolated_test_async(check_login, ("Ada",)),
            runner.run_isolated_test_async(check_session),
            runner.run_isolated_test_async(check_handles),
        )
        for result in results:
            print(result.success, result.test_results)
        statistics = runner.get_statistics()
        print("processes, the template's apart:", statistics["total_processes_spawned"])
        print("successful:", statistics["successful_tests"])


if __name__ == "__main__":
    asyncio.run(main())
