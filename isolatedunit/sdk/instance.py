"""`TestInstance`, the first argument of an isolated function."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from isolatedunit.protocol.ipc import Ipc

if TYPE_CHECKING:
    from typing import Literal, overload

    from isolatedunit.handles.tracker import HandleTracker
    from isolatedunit.sdk.factory import TestSDK

NAMES = ("sdk", "session_id", "handle_tracker", "ipc", "attempt_id", "temporary_directory")


class TestInstance:
    """The first argument of a function that `IsolatedTestRunner.run_isolated_test` calls.

    *sdk* is the `TestSDK`. If no ``test_sdk_options`` were given, it is one with a mock that answers every prompt,
    made when it is first asked for. *session_id* is the id of the SDK's session, or else an id unique to this call.
    *handle_tracker* closes the handles given to it when the function has ended. *ipc* connects to the runner.
    *temporary_directory* belongs to this call, is made when it is first asked for, and is removed after the call.

    The first three can be unpacked, ``sdk, session_id, handle_tracker = test``, and each is an item: ``test["sdk"]``.
    """

    __test__ = False  # pytest: this is not a test

    def __init__(
        self,
        *,
        make_sdk: Callable[[], TestSDK],
        session_id: str,
        handle_tracker: HandleTracker,
        ipc: Ipc,
        attempt_id: str,
        temporary_directory: str,
    ) -> None:
        self._make_sdk = make_sdk
        self._sdk: TestSDK | None = None
        self.session_id = session_id
        self.handle_tracker = handle_tracker
        self.ipc = ipc
        self.attempt_id = attempt_id
        self._temporary_directory = temporary_directory

    @property
    def temporary_directory(self) -> str:
        """A directory of this call's own, which is made when it is first asked for, and removed after the call."""
        os.makedirs(self._temporary_directory, mode=0o700, exist_ok=True)
        return self._temporary_directory

    @property
    def sdk(self) -> TestSDK:
        """The `TestSDK` of this call."""
        if self._sdk is None:
            self._sdk = self._make_sdk()
        return self._sdk

    def __iter__(self) -> Iterator[Any]:
        return iter((self.sdk, self.session_id, self.handle_tracker))

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, name: Literal["sdk"]) -> TestSDK: ...

        @overload
        def __getitem__(self, name: Literal["handle_tracker"]) -> HandleTracker: ...

        @overload
        def __getitem__(self, name: Literal["ipc"]) -> Ipc: ...

        @overload
        def __getitem__(self, name: Literal["session_id", "attempt_id", "temporary_directory"]) -> str: ...

    def __getitem__(self, name: str) -> Any:
        if name not in NAMES:
            raise KeyError(f"{name!r}; a TestInstance has {', '.join(NAMES)}")
        return getattr(self, name)
