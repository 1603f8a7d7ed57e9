"""What isolatedunit has to know of an SDK; all of it has defaults that suit many."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Protocol

from isolatedunit.errors import OptionError

EXECUTES = ("execute", "complete", "query", "run", "send", "request", "__call__")
"""The methods that `SDKAdapter.execute` tries, in this order."""


class Tracker(Protocol):
    """What a `HandleTracker` does, as far as an SDK is concerned."""

    def track(self, handle: Any, close: Any = None, kind: str | None = None, identity: str | None = None) -> Any:
        """Watch over *handle*."""


class SDKAdapter:
    """Knows one SDK: its client's class, its session, its credentials, and a local server for it.

    Subclass it and override what differs; an instance goes to `TestSDKFactory.register`.
    """

    client_class: Any = None
    """The client's class: of what a full mock is made, and what `make_client` calls."""

    session_patterns: tuple[str, ...] = ()
    """Patterns of environment variables that belong to a session of this SDK, besides the usual ones."""

    session_files: tuple[str, ...] = ()
    """Files, below the home directory, that hold a session or credentials."""

    def make_client(self, arguments: Mapping[str, Any]) -> Any:
        """The real client."""
        return self.client_class(**arguments)

    def mock_environment(self) -> dict[str, str]:
        """Environment variables with credentials that are good for nothing but a mock."""
        return {}

    def start_local_server(self, tracker: Tracker | None) -> dict[str, Any]:
        """Start what stands in for the service, on loopback, and give the client's arguments to reach it.

        What is to be stopped goes to ``tracker.track(server, close=...)``.
        """
        raise OptionError(
            f"mock_level 'partial_mock': {type(self).__name__} starts no local server; override start_local_server."
        )

    def execute(self, client: Any, prompt: Any, method: str | None = None, **more: Any) -> Any:
        """The SDK's one call that stands for all: *method*, or the first of `EXECUTES` that the client has."""
        for name in EXECUTES if method is None else (method,):
            function = getattr(client, name, None)
            if callable(function):
                return function(prompt, **more)
        wanted = f"no method {method!r}" if method is not None else f"none of the methods {', '.join(EXECUTES)}"
        raise OptionError(f"execute_with_sdk: the client has {wanted}; name one with TestSDKOptions(execute=...).")


class GenericAdapter(SDKAdapter):
    """For a class of which nothing more is known than ``package.module:ClientClass``."""

    def __init__(self, name: str) -> None:
        module_name, colon, qualified_name = name.partition(":")
        if not colon or not module_name or not qualified_name:
            raise OptionError(
                f"TestSDKOptions: sdk: {name!r} is not registered; register an adapter, or give "
                "package.module:ClientClass."
            )
        try:
            thing: Any = importlib.import_module(module_name)
            for part in qualified_name.split("."):
                thing = getattr(thing, part)
        except (ImportError, AttributeError) as exception:
            raise OptionError(f"TestSDKOptions: sdk: {name!r} cannot be found: {exception}.") from exception
        self.client_class = thing
