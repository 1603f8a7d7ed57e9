"""`TestInstance`, the first argument of an isolated function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from isolatedunit.protocol.ipc import Ipc


@dataclass(frozen=True)
class TestInstance:
    """The first argument of a function that `IsolatedTestRunner.run_isolated_test` calls.

    *sdk* is the `TestSDK`, or None if no ``test_sdk_options`` were given. *session_id* is the id of
    the SDK's session, or else an id unique to this call. *handle_tracker* closes the handles given to it
    when the function has ended. *ipc* connects to the runner. *temporary_directory* belongs to this call
    and is removed after it.
    """

    __test__ = False  # pytest: this is not a test

    sdk: Any
    session_id: str
    handle_tracker: Any
    ipc: Ipc
    attempt_id: str
    temporary_directory: str
