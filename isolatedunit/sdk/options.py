"""`TestSDKOptions`, the options of the SDK that a test uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from isolatedunit.config.options import hint_for
from isolatedunit.errors import OptionError

CHOICES = {
    "mock_level": ("full_mock", "recorded", "partial_mock", "none"),
    "session_behavior": ("isolated", "shared", "detect"),
    "authentication": ("mock", "environment", "none"),
}


@dataclass(frozen=True, kw_only=True)
class TestSDKOptions:
    """The options of the SDK that a test uses. Raises `OptionError` for an unusable value.

    *sdk* is a name registered by `TestSDKFactory.register`, or ``package.module:ClientClass``. Without one, the client
    is a mock that answers every prompt.

    *mock_level* is ``full_mock`` (a mock with *replies* that rejects calls that the real class would
    reject), ``recorded`` (the real client, with HTTP from *cassette*), ``partial_mock`` (the real client
    with a local server that the SDK's adapter starts) or ``none`` (the real client and service).

    *session_behavior* is ``isolated`` (a session id, home and temporary directory of its own, with the
    caller's credentials hidden), ``shared`` (one session for the whole run) or ``detect`` (the session found
    in the environment). *authentication* is ``mock``, ``environment`` (its credentials) or ``none``.

    *arguments* go to the client's constructor. *execute* names the method that
    `TestSDK.execute_with_sdk` calls. If *process_isolation* is False, an `IsolatedTestCase` runs in its
    runner's process; if *enable_handle_tracking* is False, the handle tracker is not used.
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

    def __new__(cls, **given: Any) -> TestSDKOptions:
        """Check the names, which a dataclass would refuse without a hint."""
        for name in given:
            if name not in cls.__dataclass_fields__:
                hint = hint_for(name, cls.__dataclass_fields__)
                raise OptionError(f"{cls.__name__}: unknown option {name!r}; {hint}")
        return super().__new__(cls)

    @classmethod
    def of(cls, value: Any, where: str) -> TestSDKOptions:
        """*value*, which may also be a mapping of the fields; raises `OptionError`, which begins with *where*."""
        if isinstance(value, cls):
            return value
        if isinstance(value, Mapping):
            return cls(**value)
        raise OptionError(
            f"{where}: invalid value {value!r}; expected a TestSDKOptions, a mapping of its fields, or None."
        )

    def __post_init__(self) -> None:
        for name, words in CHOICES.items():
            value = getattr(self, name)
            if value not in words:
                raise OptionError(f"TestSDKOptions: {name}: invalid value {value!r}; {hint_for(str(value), words)}")
        for name in ("process_isolation", "enable_handle_tracking"):
            if not isinstance(getattr(self, name), bool):
                raise OptionError(
                    f"TestSDKOptions: {name}: invalid value {getattr(self, name)!r}; expected True or False."
                )
        if self.mock_level == "recorded" and self.cassette is None:
            raise OptionError("TestSDKOptions: mock_level 'recorded' needs a recording; pass its file as cassette.")
        if self.replies and self.mock_level != "full_mock":
            raise OptionError(f"TestSDKOptions: replies need mock_level 'full_mock', not {self.mock_level!r}.")
        if not self.sdk and self.mock_level != "full_mock":
            raise OptionError(
                f"TestSDKOptions: sdk: mock_level {self.mock_level!r} needs an SDK; name a registered one, or give "
                "package.module:ClientClass."
            )
