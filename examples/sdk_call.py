"""Calls a function with an SDK of its own. The options choose a mock of a class of the standard library."""

import logging

from isolatedunit import IsolatedTestOptions, IsolatedTestRunner, TestSDKOptions


def fetch(test):
    print("about to fetch")
    reply = test.sdk.execute_with_sdk("https://example.org/")
    return reply, test.sdk.calls, test.session_id == test.sdk.session_id


def main():
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    options = IsolatedTestOptions(
        process_timeout=20,
        enable_process_logging=True,
        test_sdk_options=TestSDKOptions(
            sdk="urllib.request:OpenerDirector",
            mock_level="full_mock",
            session_behavior="isolated",
            authentication="mock",
            process_isolation=True,
            enable_handle_tracking=True,
            execute="open",
            replies={"open": "not a byte went over the network"},
        ),
    )
    with IsolatedTestRunner() as runner:
        result = runner.run_isolated_test(fetch, options=options)
    reply, calls, is_own_session = result.test_results
    print("reply:", reply)
    print("calls:", calls)
    print("a session of its own:", is_own_session, "- left behind:", result.handle_stats["leaked"])


if __name__ == "__main__":
    main()
