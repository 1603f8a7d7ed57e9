"""What a template does once for all tests of an SDK: it imports the SDK, and looks up what mocks have to know of it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection
from typing import Any

from isolatedunit.sdk.adapter import SDKAdapter, find_adapter, name_of
from isolatedunit.sdk.mocks import make_mock
from isolatedunit.sdk.shapes import Shape

_wanted: dict[tuple[str, tuple[str, ...]], Any] = {}
"""The SDKs that were noted, by their names and those of the replies."""


def note(sdk: str | SDKAdapter | Callable[..., Any], replies: Collection[str]) -> None:
    """Have `preload_noted` prepare for this SDK, and for mocks with replies of these names."""
    if sdk:
        _wanted[name_of(sdk), tuple(replies)] = sdk


def preload_noted() -> None:
    """Prepare for all SDKs that were noted in this process since the last time."""
    while _wanted:
        (_, replies), sdk = _wanted.popitem()
        preload(sdk, replies)


def preload(sdk: str | SDKAdapter | Callable[..., Any], replies: Collection[str]) -> None:
    """Import the SDK, and look up what mocks with these replies need to know; no client is made.

    What fails is left to the tests.
    """
    with contextlib.suppress(Exception):
        cls = find_adapter(sdk).client_class
        if isinstance(cls, type) and cls.__module__ in sys.modules:
            make_mock(Shape((cls,)), dict.fromkeys(replies))
