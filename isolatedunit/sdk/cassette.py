"""Answers HTTP requests from a recording, and records them. It is the only module that uses vcrpy."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Any

from isolatedunit.config.options import hint_for
from isolatedunit.errors import OptionError, UnexpectedRequest
from isolatedunit.sdk.scrubbing import Scrubber

_OF_CASSETTES = ("additional_matchers", "allow_playback_repeats", "persister")
"""What vcrpy takes for a single cassette only."""


def open_cassette(path: str, record_mode: str, settings: Mapping[str, Any], *, scrubs_secrets: bool) -> Any:
    """Answer this process's HTTP requests from the recording, or record them, until the result's ``__exit__``.

    *settings* are vcrpy's. A request that is neither recorded nor to be recorded raises `UnexpectedRequest`. Raises
    `OptionError` if the recording or vcrpy is missing, and for settings that vcrpy does not have.
    """
    try:
        import vcr
    except ImportError as exception:
        raise OptionError(
            "TestSDKOptions: mock_level 'recorded' needs vcrpy; install it with: pip install 'isolatedunit[sdk]'."
        ) from exception
    if record_mode == "none" and not os.path.isfile(path):
        raise OptionError(f"TestSDKOptions: cassette: {path!r} does not exist; record it with record_mode='once'.")
    known = {*inspect.signature(vcr.VCR).parameters, *_OF_CASSETTES} - {"record_mode"}
    for name in settings:
        if name not in known:
            raise OptionError(
                f"TestSDKOptions: cassette_options: vcrpy has no setting {name!r}; {hint_for(name, known)}"
            )
    recorder = vcr.VCR(record_mode=record_mode)
    settings = dict(settings)
    if "match_on" in settings:
        settings["match_on"] = [_name_matcher(recorder, matcher) for matcher in settings["match_on"]]
    if scrubs_secrets:
        scrubber = Scrubber()
        for name, scrub in (
            ("before_record_request", scrubber.scrub_request),
            ("before_record_response", scrubber.scrub_response),
        ):
            settings[name] = [*_as_list(settings.get(name)), scrub]
    opened = recorder.use_cassette(path, **settings)
    _refuse_unknown_requests(opened.__enter__(), path)
    return opened


def _as_list(filters: Any) -> list[Any]:
    return [] if filters is None else [filters] if callable(filters) else list(filters)


def _name_matcher(recorder: Any, matcher: Any) -> str:
    """The name by which vcrpy knows a matcher, which may also be a function of two requests."""
    name = matcher if isinstance(matcher, str) else getattr(matcher, "__name__", repr(matcher))
    if callable(matcher):
        recorder.register_matcher(name, matcher)
    elif name not in recorder.matchers:
        raise OptionError(
            f"TestSDKOptions: match_on: vcrpy has no matcher {name!r}; {hint_for(name, recorder.matchers)}"
        )
    return str(name)


def _refuse_unknown_requests(cassette: Any, path: str) -> None:
    """Have the cassette say which request it cannot answer, and why, before vcrpy says that it cannot record it."""
    can_play = cassette.can_play_response_for

    def can_play_or_raise(request: Any) -> Any:
        if can_play(request):
            return True
        filtered = cassette.filter_request(request) if cassette.write_protected else None
        if filtered:
            raise UnexpectedRequest(_describe(cassette, path, request, filtered))
        return False

    cassette.can_play_response_for = can_play_or_raise


def _describe(cassette: Any, path: str, request: Any, filtered: Any) -> str:
    name = f"{filtered.method} {filtered.uri}"
    similar = cassette.find_requests_with_most_matches(request)
    count = sum(1 for _, _, failed in similar if not failed)
    if count:
        times = "once" if count == 1 else f"{count} times"
        return f"cassette: {name} was requested {count + 1} times, {path!r} has it {times}"
    closest = ", ".join(dict.fromkeys(f"{stored.method} {stored.uri}" for stored, *_ in similar[:3]))
    hint = f"; the closest that it has: {closest}" if closest else f"; it has {len(cassette)} others"
    return f"cassette: {path!r} has no answer to {name}{hint}"
