"""What an isolated function is called with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from isolatedunit.protocol.ipc import Ipc


@dataclass(frozen=True)
class TestInstance:
    """The first argument of a function that `IsolatedTestRunner.run_isolated_test` calls.

    *sdk* is what `TestSDKFactory` made, None if no ``test_sdk_options`` were given. *session_id* is
    that of the SDK's session, or one that no other call has. *handle_tracker* closes what it is
    given when the function has ended. *ipc* talks to the runner. *temporary_directory* is this
    call's own, and is removed after it.
    """

    __test__ = False  # pytest: this is not a test

    sdk: Any
    session_id: str
    handle_tracker: Any
    ipc: Ipc
    attempt_id: str
    temporary_directory: str
