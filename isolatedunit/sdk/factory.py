"""`TestSDK` is an SDK as one test uses it, and `TestSDKFactory` makes it."""

from __future__ import annotations

import asyncio
import inspect
import os
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from isolatedunit.errors import OptionError
from isolatedunit.sdk import mocks
from isolatedunit.sdk.adapter import SDKAdapter, Tracker, find_adapter, name_of, registered
from isolatedunit.sdk.generic import UnnamedAdapter
from isolatedunit.sdk.options import TestSDKOptions
from isolatedunit.sdk.session import Session, Surroundings, ask_for_shared, detect
from isolatedunit.sdk.shapes import refuse_data, shape_of_client

if TYPE_CHECKING:
    from isolatedunit.sdk.local_server import LocalServer


class TestSDK:
    """An SDK as one test uses it: ``client``, ``session``, and the options that they were made with.

    ``server`` is the `LocalServer` that ``replies`` start with ``partial_mock``, or else None.
    It is also a context manager, which closes the SDK at the end.
    """

    __test__ = False  # pytest: this is not a test

    def __init__(self, options: TestSDKOptions, adapter: SDKAdapter, session: Session) -> None:
        self.options = options
        self.adapter = adapter
        self.session = session
        self.client: Any = None
        self.server: LocalServer | None = None
        self._closers: list[Callable[[], Any]] = []

    @property
    def session_id(self) -> str:
        """The id of the session."""
        return self.session.id

    @property
    def calls(self) -> list[tuple[str, tuple[Any, ...], dict[str, Any]]]:
        """The calls that a full mock received, in order: name, arguments, keyword arguments."""
        return mocks.calls_of(self.client)

    def execute_with_sdk(self, prompt: Any, **more: Any) -> Any:
        """Send *prompt* by the SDK's main method, as its adapter selects it. Await the result of an async method."""
        return self.adapter.execute(self.client, prompt, self.options.execute, **more)

    @property
    def closed(self) -> bool:
        """Whether nothing is left to close."""
        return not self._closers

    def on_close(self, close: Callable[[], Any]) -> None:
        """Register *close* to be called when the SDK is closed; the last one registered is called first."""
        self._closers.append(close)

    def close(self) -> None:
        """Close everything that was made, the latest first, and restore the environment; raises the first error."""
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
    """Keeps the adapters of SDKs by name, and makes a `TestSDK` with them."""

    __test__ = False  # pytest: this is not a test

    @classmethod
    def register(cls, name: str, adapter: SDKAdapter) -> None:
        """Let tests use ``sdk=name``. Call it in the module of the tests, which each of their processes imports.

        Isolated calls take the adapter along.
        """
        if not isinstance(adapter, SDKAdapter):
            raise OptionError(f"TestSDKFactory: an adapter must be an instance of SDKAdapter, not {adapter!r}.")
        registered[name] = adapter

    @classmethod
    def unregister(cls, name: str) -> None:
        """Remove the adapter; has no effect if the name is not registered."""
        registered.pop(name, None)

    @classmethod
    def create(
        cls,
        options: TestSDKOptions,
        *,
        session_id: str | None = None,
        handle_tracker: Tracker | None = None,
        request: Callable[..., Any] | None = None,
    ) -> TestSDK:
        """Make a `TestSDK`. Raises `OptionError`, and any exception of the client's own constructor.

        *session_id* is the id of an isolated session, generated if it is not given. *request* sends a
        request to the runner, as `Ipc.request` does.
        """
        adapter = find_adapter(options.sdk) if options.sdk else UnnamedAdapter()
        name = name_of(options.sdk)
        found = detect(adapter.session_patterns, adapter.session_files, os.environ)
        own_id = session_id or uuid.uuid4().hex
        if options.session_behavior == "shared":
            own_id = ask_for_shared(request, name, own_id)
        sdk = TestSDK(options, adapter, Session(own_id, options.session_behavior, found))
        try:
            _surround(sdk, getattr(handle_tracker, "remove_at_end", None))
            sdk.client = _make_client(sdk, request)
            if options.execute is not None:
                adapter.check_execute(sdk.client, options.execute)
        except BaseException:
            sdk.close()
            raise
        if handle_tracker is not None and options.enable_handle_tracking:
            handle_tracker.track(sdk, close=sdk.close, kind="handle", identity=f"SDK {name}".strip())
        return sdk


def _surround(sdk: TestSDK, remove: Callable[[str], object] | None) -> None:
    """Change this process's environment to the one that the session should see; *remove* removes its directory."""
    options, surroundings = sdk.options, Surroundings(remove)
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


def _make_client(sdk: TestSDK, request: Callable[..., Any] | None) -> Any:
    options, adapter = sdk.options, sdk.adapter
    arguments = dict(options.arguments)
    if options.mock_level == "full_mock":
        shape, real = shape_of_client(adapter.client_class, lambda: _make_model(adapter, arguments), arguments)
        sdk.on_close(lambda: real.close(_close_client))
        return mocks.make_mock(shape, {**adapter.default_replies(), **options.replies})
    if options.authentication == "mock":
        arguments = {**adapter.mock_arguments(), **arguments}
    if options.mock_level == "recorded":
        from isolatedunit.sdk import cassette  # imported here like what follows: a test needs one of them

        assert options.cassette is not None
        path = os.fspath(options.cassette)
        recording = cassette.open_cassette(
            path, options.record_mode, options.recording, scrubs_secrets=options.scrub_secrets
        )
        sdk.on_close(lambda: recording.__exit__(None, None, None))
    elif options.mock_level == "partial_mock":
        arguments |= _serve(sdk, request)
    client = adapter.make_client(arguments)
    refuse_data(client, adapter.client_class)
    sdk.on_close(lambda: _close_client(client))
    return client


def _make_model(adapter: SDKAdapter, arguments: dict[str, Any]) -> Any:
    """The client that a full mock is modelled on, whatever credentials the test has: nobody uses it."""
    missing = {name: value for name, value in adapter.mock_environment().items() if name not in os.environ}
    surroundings = Surroundings()
    for name, value in missing.items():
        surroundings.set(name, value)
    try:
        return adapter.make_client({**adapter.mock_arguments(), **arguments})
    finally:
        surroundings.restore()


def _serve(sdk: TestSDK, request: Callable[..., Any] | None) -> dict[str, Any]:
    """The arguments by which the client reaches a local server, which is started if need be."""
    options, adapter = sdk.options, sdk.adapter
    if not options.replies:
        from isolatedunit.sdk.servers import serve

        return serve(adapter, name_of(options.sdk), request, sdk.on_close)
    from isolatedunit.sdk.local_server import LocalServer

    sdk.server = LocalServer(options.replies)
    sdk.on_close(sdk.server.close)
    return adapter.arguments_at(sdk.server.url)


def _close_client(client: Any) -> None:
    """Close *client*, unless its ``close`` is one of the names that a client of any method takes for one."""
    names = [name for name in ("aclose", "close") if callable(inspect.getattr_static(client, name, None))]
    closing = getattr(client, names[0])() if names else None
    if inspect.isawaitable(closing):

        async def wait() -> None:
            await closing

        # trap: a thread with a running event loop cannot run a second one, so use another thread
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, wait()).result()
