"""Hides the values of environment variables that are named like secrets.

A report travels further than the text on a terminal: to everybody who may see the artifacts of a build.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from isolatedunit.model.events import Event, Listener
from isolatedunit.system.secrets import is_secret

_SHORTEST = 8
"""Characters. Shorter values are those of switches, such as ``1``, which occur in any text."""


class Secrets:
    """The secrets in *environment* at this moment."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._names: dict[str, str] = {}
        self.add(environment)

    def add(self, environment: Mapping[str, str]) -> None:
        """Hide the secrets in *environment*, too."""
        found = {text: name for name, text in environment.items() if len(text) >= _SHORTEST and is_secret(name)}
        self._names |= found
        longest_first = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def hide(self, value: Any) -> Any:
        """*value* with the names of variables in place of their values; *value* itself if it has no secret."""
        return value if self._pattern is None else self._without(value, self._pattern)

    def _without(self, value: Any, pattern: re.Pattern[str]) -> Any:
        if isinstance(value, str):
            return pattern.sub(lambda found: f"(hidden: {self._names[found[0]]})", value)
        if isinstance(value, dict):
            return {key: self._without(item, pattern) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)([self._without(item, pattern) for item in value])
        if is_dataclass(value) and not isinstance(value, type):
            changed = {}
            for field in fields(value):
                before = getattr(value, field.name)
                after = self._without(before, pattern)
                if after != before:
                    changed[field.name] = after
            return replace(value, **changed) if changed else value
        return value


class Redactor:
    """Passes events on to *listeners* without secrets: a listener."""

    def __init__(self, listeners: list[Listener]) -> None:
        self._listeners = listeners
        self._secrets = Secrets()
        self.learn = self._secrets.add

    def handle(self, event: Event) -> None:
        """Pass *event* on."""
        event = self._secrets.hide(event)
        for listener in self._listeners:
            listener.handle(event)
