"""`TestSDKFactory` makes what a test uses of an SDK; `TestSDK` is that."""

from __future__ import annotations

import asyncio
import inspect
import os
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from isolatedunit.errors import OptionError
from isolatedunit.sdk import cassette, mocks
from isolatedunit.sdk.adapter import GenericAdapter, SDKAdapter, Tracker
from isolatedunit.sdk.options import TestSDKOptions
from isolatedunit.sdk.session import Session, Surroundings, ask_for_shared, detect


class TestSDK:
    """An SDK as one test has it: ``client``, ``session``, and what they were made with.

    Also a context manager, which closes it at the end.
    """

    __test__ = False  # pytest: this is not a test

    def __init__(self, options: TestSDKOptions, adapter: SDKAdapter, session: Session) -> None:
        self.options = options
        self.adapter = adapter
        self.session = session
        self.client: Any = None
        self._closers: list[Callable[[], Any]] = []

    @property
    def session_id(self) -> str:
        """The id of the session."""
        return self.session.id

    @property
    def calls(self) -> list[tuple[str, tuple[Any, ...], dict[str, Any]]]:
        """What a full mock was called with, in order: name, arguments, keyword arguments."""
        return mocks.calls_of(self.client)

    def execute_with_sdk(self, prompt: Any, **more: Any) -> Any:
        """The SDK's one call that stands for all, as its adapter has it; to be awaited if the client's is."""
        return self.adapter.execute(self.client, prompt, self.options.execute, **more)

    @property
    def closed(self) -> bool:
        """Whether there is nothing left to close."""
        return not self._closers

    def on_close(self, close: Callable[[], Any]) -> None:
        """Call *close* when this is closed; the last comes first."""
        self._closers.append(close)

    def close(self) -> None:
        """Close all that was made, the last first, and put the environment back; raises what went wrong first."""
        problem: Exception | None = None
        while self._closers:
            try:
                self._closers.pop()()
            except Exception as exception:
                problem = problem or exception
        if problem is not None:
            raise problem

    def __enter__(self) -> TestSDK:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class TestSDKFactory:
    """Knows adapters of SDKs by name, and makes a `TestSDK` with them."""

    __test__ = False  # pytest: this is not a test

    _adapters: ClassVar[dict[str, SDKAdapter]] = {}

    @classmethod
    def register(cls, name: str, adapter: SDKAdapter) -> None:
        """Let tests say ``sdk=name``; in the module of the tests, since each process registers for itself."""
        if not isinstance(adapter, SDKAdapter):
            raise OptionError(f"TestSDKFactory: an adapter must be an instance of SDKAdapter, not {adapter!r}.")
        cls._adapters[name] = adapter

    @classmethod
    def unregister(cls, name: str) -> None:
        """Forget the adapter; without effect for a name that nobody registered."""
        cls._adapters.pop(name, None)

    @classmethod
    def create(
        cls,
        options: TestSDKOptions,
        *,
        session_id: str | None = None,
        handle_tracker: Tracker | None = None,
        request: Callable[..., Any] | None = None,
    ) -> TestSDK:
        """Make it. Raises `OptionError`, and what the client's own constructor raises.

        *session_id* is that of an isolated session, made up if it is not given. *request* asks the
        runner, as `Ipc.request` does.
        """
        adapter = cls._adapters.get(options.sdk) or GenericAdapter(options.sdk)
        found = detect(adapter.session_patterns, adapter.session_files, os.environ)
        own_id = session_id or uuid.uuid4().hex
        if options.session_behavior == "shared":
            own_id = ask_for_shared(request, options.sdk, own_id)
        sdk = TestSDK(options, adapter, Session(own_id, options.session_behavior, found))
        try:
            _surround(sdk)
            sdk.client = _make_client(sdk)
        except BaseException:
            sdk.close()
            raise
        if handle_tracker is not None and options.enable_handle_tracking:
            handle_tracker.track(sdk, close=sdk.close, kind="handle", identity=f"SDK {options.sdk}")
        return sdk


def _surround(sdk: TestSDK) -> None:
    """Give this process the environment that the session is to see."""
    options, surroundings = sdk.options, Surroundings()
    sdk.on_close(surroundings.restore)
    if options.session_behavior == "isolated":
        surroundings.isolate(sdk.session.found if options.authentication != "environment" else ())
    elif (
        options.session_behavior == "shared" and options.authentication != "environment"
    ) or options.authentication == "none":
        surroundings.hide(sdk.session.found)
    if options.authentication == "mock":
        for name, value in sdk.adapter.mock_environment().items():
            surroundings.set(name, value)


def _make_client(sdk: TestSDK) -> Any:
    options, adapter = sdk.options, sdk.adapter
    if options.mock_level == "full_mock":
        return mocks.make_mock(adapter.client_class, options.arguments, options.replies)
    arguments = dict(options.arguments)
    if options.mock_level == "recorded":
        assert options.cassette is not None
        recording = cassette.play(options.cassette)
        sdk.on_close(lambda: recording.__exit__(None, None, None))
    elif options.mock_level == "partial_mock":
        servers = _Servers(sdk)
        arguments |= adapter.start_local_server(servers)
    client = adapter.make_client(arguments)
    close = getattr(client, "close", None) or getattr(client, "aclose", None)
    if callable(close):
        sdk.on_close(lambda: _close(close))
    return client


def _close(close: Callable[[], Any]) -> None:
    closing = close()
    if inspect.isawaitable(closing):

        async def wait() -> None:
            await closing

        # in a thread of its own, since one that has a loop running can have no second
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, wait()).result()


class _Servers:
    """Takes a tracker's place for an adapter: what it starts ends with the SDK, before the session does."""

    def __init__(self, sdk: TestSDK) -> None:
        self._sdk = sdk

    def track(self, handle: Any, close: Any = None, kind: str | None = None, identity: str | None = None) -> Any:
        """Have *close* called when the SDK is closed."""
        if close is not None:
            self._sdk.on_close(close)
        return handle
