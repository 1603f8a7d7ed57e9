"""What a test wants of an SDK."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from isolatedunit.errors import OptionError

CHOICES = {
    "mock_level": ("full_mock", "recorded", "partial_mock", "none"),
    "session_behavior": ("isolated", "shared", "detect"),
    "authentication": ("mock", "environment", "none"),
}


@dataclass(frozen=True, kw_only=True)
class TestSDKOptions:
    """The SDK that a test gets. Raises `OptionError` for a value that cannot be used.

    *sdk* is a name that `TestSDKFactory.register` was given, or ``package.module:ClientClass``.

    *mock_level*: ``full_mock``, a mock that refuses what the real class would refuse, with *replies*;
    ``recorded``, the real client, with HTTP from *cassette*; ``partial_mock``, the real client over a
    local server that the SDK's adapter starts; ``none``, the real thing.

    *session_behavior*: ``isolated``, a session id, home and temporary directory of its own, and the
    caller's credentials out of sight; ``shared``, one session for the whole run; ``detect``, what is
    there. *authentication*: ``mock`` credentials, those of the ``environment``, or ``none``.

    *arguments* are for the client's constructor. *execute* names the method that
    `TestSDK.execute_with_sdk` calls. With *process_isolation* off, an `IsolatedTestCase` runs where
    its runner is; with *enable_handle_tracking* off, nothing is given to the handle tracker.
    """

    __test__ = False  # pytest: this is not a test

    sdk: str = ""
    mock_level: str = "full_mock"
    session_behavior: str = "isolated"
    authentication: str = "mock"
    process_isolation: bool = True
    enable_handle_tracking: bool = True
    arguments: Mapping[str, Any] = field(default_factory=dict)
    replies: Mapping[str, Any] = field(default_factory=dict)
    cassette: str | None = None
    execute: str | None = None

    def __post_init__(self) -> None:
        for name, words in CHOICES.items():
            if getattr(self, name) not in words:
                raise OptionError(
                    f"TestSDKOptions: {name}: invalid value {getattr(self, name)!r}; "
                    f"expected one of {', '.join(words)}."
                )
        for name in ("process_isolation", "enable_handle_tracking"):
            if not isinstance(getattr(self, name), bool):
                raise OptionError(
                    f"TestSDKOptions: {name}: invalid value {getattr(self, name)!r}; expected True or False."
                )
        if self.mock_level == "recorded" and self.cassette is None:
            raise OptionError("TestSDKOptions: mock_level 'recorded' needs a recording; pass its file as cassette.")
        if self.replies and self.mock_level != "full_mock":
            raise OptionError(f"TestSDKOptions: replies need mock_level 'full_mock', not {self.mock_level!r}.")
