"""`TestSDKOptions`, the options of the SDK that a test uses."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from isolatedunit.config.options import hint_for
from isolatedunit.errors import OptionError
from isolatedunit.sdk.adapter import SDKAdapter, modules_of, name_of, registered
from isolatedunit.sdk.preloading import note

MockLevel = Literal["full_mock", "recorded", "partial_mock", "none"]
SessionBehavior = Literal["isolated", "shared", "detect"]
Authentication = Literal["mock", "environment", "none"]
RecordMode = Literal["none", "once", "new_episodes", "all"]

CHOICES: dict[str, tuple[str, ...]] = {
    "mock_level": get_args(MockLevel),
    "session_behavior": get_args(SessionBehavior),
    "authentication": get_args(Authentication),
    "record_mode": get_args(RecordMode),
}

RECORDING = ("match_on", "filter_headers", "filter_query_parameters", "filter_post_data_parameters")
"""The options that are passed on to vcrpy under the same names."""


@dataclass(frozen=True, kw_only=True)
class TestSDKOptions:
    """The options of the SDK that a test uses. Raises `OptionError` for an unusable value.

    *sdk* is a name registered by `TestSDKFactory.register`, ``package.module:ClientClass``, an `SDKAdapter`, or the
    client's class. In place of a class there may be a function that makes a client. Without *sdk*, the client is a mock
    that answers every prompt.

    *mock_level* is ``full_mock`` (a mock with *replies* that rejects calls that the real class would
    reject), ``recorded`` (the real client, with HTTP from *cassette*), ``partial_mock`` (the real client
    with a local server, which the SDK's adapter starts, or which gives *replies* as a `LocalServer` does) or ``none``
    (the real client and service).

    *session_behavior* is ``isolated`` (a session id, home and temporary directory of its own, with the
    caller's credentials hidden), ``shared`` (one session for the whole run) or ``detect`` (the session found
    in the environment). *authentication* is ``mock``, ``environment`` (its credentials) or ``none``.

    *record_mode* is vcrpy's: ``none`` only answers from *cassette*, ``once`` records it if it does not exist,
    ``new_episodes`` adds what it lacks, and ``all`` records everything anew. *match_on* and the filters are vcrpy's,
    too; *match_on* may also contain functions of two requests. *cassette_options* are other settings of vcrpy's. If
    *scrub_secrets* is True, nothing that looks like a secret is recorded.

    *arguments* go to the client's constructor. *execute* names the method that
    `TestSDK.execute_with_sdk` calls. If *process_isolation* is False, an `IsolatedTestCase` runs in its
    runner's process; if *enable_handle_tracking* is False, the handle tracker is not used.
    """

    __test__ = False  # pytest: this is not a test

    sdk: str | SDKAdapter | Callable[..., Any] = ""
    mock_level: MockLevel = "full_mock"
    session_behavior: SessionBehavior = "isolated"
    authentication: Authentication = "mock"
    process_isolation: bool = True
    enable_handle_tracking: bool = True
    arguments: Mapping[str, Any] = field(default_factory=dict)
    replies: Mapping[str, Any] = field(default_factory=dict)
    cassette: str | os.PathLike[str] | None = None
    record_mode: RecordMode = "none"
    match_on: Sequence[str | Callable[[Any, Any], Any]] = ()
    filter_headers: Sequence[Any] = ()
    filter_query_parameters: Sequence[Any] = ()
    filter_post_data_parameters: Sequence[Any] = ()
    cassette_options: Mapping[str, Any] = field(default_factory=dict)
    scrub_secrets: bool = True
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

    @property
    def modules(self) -> list[str]:
        """The modules that a test with these options needs, if they exist."""
        return [f"{__package__}.factory", *(["vcr"] if self.mock_level == "recorded" else []), *modules_of(self.sdk)]

    @property
    def recording(self) -> dict[str, Any]:
        """The settings for vcrpy."""
        named = {name: getattr(self, name) for name in RECORDING if getattr(self, name)}
        return {**self.cassette_options, **named}

    @property
    def _mocked(self) -> list[str]:
        return list(self.replies) if self.mock_level == "full_mock" else []

    @property
    def as_preloaded(self) -> tuple[str, list[str]]:
        """The arguments of `isolatedunit.sdk.preloading.preload` for a test with these options, as plain data."""
        return name_of(self.sdk), self._mocked

    def __getstate__(self) -> dict[str, Any]:
        """The fields, and the adapter of that name, which another process may not have registered."""
        return {**vars(self), "adapter": registered.get(self.sdk) if isinstance(self.sdk, str) else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        adapter = state.pop("adapter")
        if adapter is not None:
            registered.setdefault(state["sdk"], adapter)
        vars(self).update(state)

    def __post_init__(self) -> None:
        self._check_sdk()
        for name, words in CHOICES.items():
            value = getattr(self, name)
            if value not in words:
                raise OptionError(f"TestSDKOptions: {name}: invalid value {value!r}; {hint_for(str(value), words)}")
        for name in ("process_isolation", "enable_handle_tracking", "scrub_secrets"):
            self._check_type(name, bool, "True or False")
        for name in ("replies", "arguments", "cassette_options"):
            self._check_type(name, Mapping, "a mapping")
        if self.execute is not None:
            self._check_type("execute", str, "the name of a method")
        if self.mock_level == "recorded" and self.cassette is None:
            raise OptionError("TestSDKOptions: mock_level 'recorded' needs a recording; pass its file as cassette.")
        self._check_level()
        note(self.sdk, self._mocked)

    def _check_type(self, name: str, wanted: type, expectation: str) -> None:
        value = getattr(self, name)
        if not isinstance(value, wanted):
            raise OptionError(f"TestSDKOptions: {name}: invalid value {value!r}; expected {expectation}.")

    def _check_level(self) -> None:
        """Refuse options that have no effect at this mock level."""
        level = self.mock_level
        for name in ("cassette", *RECORDING, "cassette_options", "record_mode"):
            if getattr(self, name) not in ((), {}, [], None, "none") and level != "recorded":
                raise OptionError(f"TestSDKOptions: {name} needs mock_level 'recorded', not {level!r}.")
        if self.replies and level not in ("full_mock", "partial_mock"):
            raise OptionError(
                f"TestSDKOptions: replies need mock_level 'full_mock', not {level!r}, or 'partial_mock', where a local "
                "server gives them."
            )
        if isinstance(self.match_on, str):
            raise OptionError(f"TestSDKOptions: match_on: invalid value {self.match_on!r}; expected a list of names.")
        if not self.sdk and level != "full_mock":
            raise OptionError(
                f"TestSDKOptions: sdk: mock_level {level!r} needs an SDK; name a registered one, or give "
                "package.module:ClientClass."
            )

    def _check_sdk(self) -> None:
        if isinstance(self.sdk, type) and issubclass(self.sdk, SDKAdapter):
            name = self.sdk.__qualname__
            raise OptionError(f"TestSDKOptions: sdk: {name} is the class of an adapter; pass an instance, {name}().")
        if not (isinstance(self.sdk, (str, SDKAdapter)) or callable(self.sdk)):
            raise OptionError(
                f"TestSDKOptions: sdk: invalid value {self.sdk!r}; expected the name of an SDK, an SDKAdapter, or a "
                "client's class."
            )
