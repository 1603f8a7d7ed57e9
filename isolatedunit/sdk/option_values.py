"""The fields of `TestSDKOptions` as keyword arguments and as a mapping, for type checkers, which alone import this."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from isolatedunit.sdk.adapter import SDKAdapter
from isolatedunit.sdk.options import Authentication, MockLevel, RecordMode, SessionBehavior


class SDKOptionValues(TypedDict, total=False):
    """The fields of `TestSDKOptions`, which says what they mean."""

    sdk: str | SDKAdapter | Callable[..., Any]
    mock_level: MockLevel
    session_behavior: SessionBehavior
    authentication: Authentication
    process_isolation: bool
    enable_handle_tracking: bool
    arguments: Mapping[str, Any]
    replies: Mapping[str, Any]
    cassette: str | os.PathLike[str] | None
    record_mode: RecordMode
    match_on: Sequence[str | Callable[[Any, Any], Any]]
    filter_headers: Sequence[Any]
    filter_query_parameters: Sequence[Any]
    filter_post_data_parameters: Sequence[Any]
    cassette_options: Mapping[str, Any]
    scrub_secrets: bool
    execute: str | None
