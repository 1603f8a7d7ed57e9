"""Describes an SDK to isolatedunit; the defaults suit many SDKs."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Protocol

from isolatedunit.errors import OptionError
from isolatedunit.protocol.uncarried import MAIN
from isolatedunit.sdk.clients import find_known

EXECUTES = ("execute", "complete", "query", "run", "send", "request", "__call__")
"""The methods that `SDKAdapter.execute` tries, in this order."""


class Tracker(Protocol):
    """The part of `HandleTracker` that an SDK's adapter uses."""

    def track(self, handle: Any, close: Any = None, kind: str | None = None, identity: str | None = None) -> Any:
        """Watch *handle*, and close it by *close* at the end."""


class SDKAdapter:
    """Describes one SDK: its client's class, its session, its credentials, and a local server for it.

    Subclass it, override what differs, and pass an instance to `TestSDKFactory.register`.
    """

    client_class: Any = None
    """The client's class, or a function that makes a client: a full mock is modelled on it, `make_client` calls it."""

    session_patterns: tuple[str, ...] = ()
    """Patterns for the names of this SDK's environment variables for sessions, in addition to the usual ones."""

    session_files: tuple[str, ...] = ()
    """Files that hold a session or credentials, relative to the home directory."""

    shares_server: bool = True
    """Whether all tests of a run use one local server. If it is False, each test has its own, on a port of its own."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if inspect.isfunction(vars(cls).get("client_class")):
            cls.client_class = staticmethod(
                cls.client_class
            )  # else it would be a method, with the adapter as an argument

    def make_client(self, arguments: Mapping[str, Any]) -> Any:
        """Make the real client."""
        return self.client_class(**arguments)

    def default_replies(self) -> dict[str, Any]:
        """Replies that a full mock gives if the options have no others for the same methods."""
        return {}

    def mock_environment(self) -> dict[str, str]:
        """Environment variables with credentials that only a mock accepts."""
        return {}

    def mock_arguments(self) -> dict[str, Any]:
        """Arguments for the client with credentials that only a mock accepts, for those that a test does not give."""
        return {}

    def arguments_at(self, url: str) -> dict[str, Any]:
        """Arguments for the client to reach a server at *url*, such as the `LocalServer` that ``replies`` start."""
        raise OptionError(
            f"mock_level 'partial_mock': {name_of(self)} does not say how its client reaches a local server; override "
            "arguments_at, or start_local_server for one of your own."
        )

    def start_local_server(self, tracker: Tracker | None) -> dict[str, Any]:
        """Start a stand-in for the service on loopback, on any free port; return the client's arguments to reach it.

        Pass what has to be stopped to ``tracker.track(server, close=...)``. A server that tests share starts in a
        process of its own, which has nothing of what a test has done before.
        """
        raise OptionError(
            f"mock_level 'partial_mock': {type(self).__name__} starts no local server; override start_local_server, or "
            "give replies for one: replies={'GET /path': ...}."
        )

    def execute(self, client: Any, prompt: Any, method: str | None = None, **more: Any) -> Any:
        """Send *prompt* by the SDK's main method: *method*, or else the first of `EXECUTES` that the client has."""
        for name in EXECUTES if method is None else (method,):
            function = _find_method(client, name)
            if callable(function):
                return function(prompt, **more)
        wanted = f"no method {method!r}" if method is not None else f"none of the methods {', '.join(EXECUTES)}"
        raise OptionError(f"execute_with_sdk: the client has {wanted}; name one with TestSDKOptions(execute=...).")

    def check_execute(self, client: Any, method: str) -> None:
        """Raise `OptionError` if *method*, which `execute` is to call, is none of the client's."""
        if type(self).execute is not SDKAdapter.execute or callable(_find_method(client, method)):
            return
        owner, last = client, method.rpartition(".")[2]
        if "." in method:
            owner = _find_method(client, method.rpartition(".")[0])
        near = get_close_matches(last, [name for name in dir(owner) if not name.startswith("_")], 1)
        hint = f"did you mean {method.removesuffix(last) + near[0]!r}?" if near else "name one that it has."
        raise OptionError(f"TestSDKOptions: execute: the client has no method {method!r}; {hint}")


def _find_method(client: Any, name: str) -> Any:
    """What the client has by this name, which may be dotted; None if there is none."""
    found = client
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


class GenericAdapter(SDKAdapter):
    """The adapter for a client of which only the class, or a function that makes one, is known."""

    def __init__(self, client_class: Callable[..., Any]) -> None:
        self.client_class = client_class

    def make_client(self, arguments: Mapping[str, Any]) -> Any:
        """Make the real client, unless the name is that of one."""
        return super().make_client(arguments) if callable(self.client_class) else self.client_class

    def mock_environment(self) -> dict[str, str]:
        """The credentials that are known of well-known clients."""
        return dict(find_known(self.client_class).environment)

    def arguments_at(self, url: str) -> dict[str, Any]:
        """The arguments that are known of well-known clients."""
        at = find_known(self.client_class).at
        return super().arguments_at(url) if at is None else at(url)

    def mock_arguments(self) -> dict[str, Any]:
        """The arguments that are known of well-known clients, as far as this one takes them."""
        known = find_known(self.client_class).arguments()
        taken = inspect.signature(self.client_class).parameters if known else ()
        return {name: value for name, value in known.items() if name in taken}


registered: dict[str, SDKAdapter] = {}
"""The adapters that this process has by name."""


def find_adapter(sdk: str | SDKAdapter | Callable[..., Any]) -> SDKAdapter:
    """The adapter of an SDK: a registered name, ``package.module:ClientClass``, an adapter, or what makes a client.

    Raises `OptionError` for a name that cannot be found.
    """
    if isinstance(sdk, SDKAdapter):
        return sdk
    if not isinstance(sdk, str):
        return GenericAdapter(sdk)
    return registered.get(sdk) or GenericAdapter(_find_client(sdk))


def _find_client(name: str) -> Any:
    module_name, colon, qualified_name = name.partition(":")
    if not colon or not module_name or not qualified_name:
        raise OptionError(
            f"TestSDKOptions: sdk: {name!r} is not registered; register an adapter, or give package.module:ClientClass."
        )
    try:
        thing: Any = importlib.import_module(module_name)
        for part in qualified_name.split("."):
            thing = getattr(thing, part)
    except (ImportError, AttributeError) as exception:
        raise OptionError(f"TestSDKOptions: sdk: {name!r} cannot be found: {exception}.") from exception
    return thing


def name_of(sdk: str | SDKAdapter | Callable[..., Any]) -> str:
    """The SDK's name for people, and for the runner."""
    if isinstance(sdk, str):
        return sdk
    adapted = sdk.client_class if isinstance(sdk, GenericAdapter) else type(sdk)
    thing = adapted if isinstance(sdk, SDKAdapter) else sdk
    return f"{thing.__module__}:{getattr(thing, '__qualname__', type(thing).__qualname__)}"


def modules_of(sdk: str | SDKAdapter | Callable[..., Any]) -> list[str]:
    """The modules of an SDK, which need not exist; importing them once for many tests saves time."""
    if isinstance(sdk, str) and sdk not in registered:
        module_name, colon, _ = sdk.partition(":")
        return [module_name] if colon and module_name else []
    adapter = find_adapter(sdk)
    names = [getattr(thing, "__module__", None) for thing in (type(adapter), adapter.client_class)]
    return [name for name in names if name is not None and name not in MAIN and name != __name__]
