"""Mocks of a client that reject the calls that the real client would reject."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Mapping
from typing import Any
from unittest import mock

from isolatedunit.errors import OptionError

DEEPEST = 5
"""How many levels of properties are mocked: ``client.chat.completions.create`` has two."""


class Script:
    """Replies for successive calls. An exception among them is raised; a call after the last reply fails."""

    def __init__(self, *replies: Any) -> None:
        self.replies = replies


def make_mock(client_class: Any, arguments: Mapping[str, Any], replies: Mapping[str, Any]) -> Any:
    """Make a mock of an instance of *client_class*; a call that does not fit the real signature is a `TypeError`.

    *replies* maps names of methods, dotted for methods of parts (``files.upload``), to a value, an
    exception to raise, a function to call with the arguments, or a `Script` of several replies.
    """
    try:
        inspect.signature(client_class).bind(**arguments)
    except TypeError as exception:
        raise OptionError(
            f"TestSDKOptions: arguments: {client_class.__name__} does not accept {dict(arguments)!r}: {exception}."
        ) from exception
    except ValueError:
        pass  # a class written in C may have no signature
    client = _specify(client_class)
    for name, reply in replies.items():
        method = _find(client, client_class, name)
        if isinstance(reply, Script):
            method.side_effect = list(reply.replies)
        elif callable(reply) or isinstance(reply, BaseException):
            method.side_effect = reply
        else:
            method.return_value = reply
    return client


def _specify(client_class: Any, depth: int = 0) -> Any:
    """Make a mock of an instance; the value of a property is a mock of the class that its annotation names."""
    made = mock.create_autospec(client_class, instance=True, spec_set=True)
    for name in ("__enter__", "__aenter__"):
        if hasattr(client_class, name):
            getattr(made, name).return_value = made  # a client's __enter__ returns itself; a mock's returns a new mock
    if depth < DEEPEST:
        for name in dir(client_class):
            behind = None if name.startswith("__") else _class_behind(client_class, name)
            if behind is not None:
                setattr(made, name, _specify(behind, depth + 1))
    return made


def _class_behind(client_class: Any, name: str) -> type | None:
    attribute = inspect.getattr_static(client_class, name, None)
    getter: Any = None
    if isinstance(attribute, property):
        getter = attribute.fget
    elif isinstance(attribute, functools.cached_property):
        getter = attribute.func
    try:
        returned = typing.get_type_hints(getter).get("return") if getter is not None else None
    except Exception:  # trap: an annotation may name something imported only for type checkers
        return None
    is_class = isinstance(returned, type) and returned.__module__ != "builtins"
    return returned if is_class else None


def _find(client: Any, client_class: Any, name: str) -> Any:
    found = client
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError:
        raise OptionError(
            f"TestSDKOptions: replies: {client_class.__name__} has no method {name!r}; a mock has only its class's."
        ) from None
    return found


def calls_of(client: Any) -> list[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """The calls of a mock in order: name, arguments and keyword arguments; empty for a real client."""
    recorded = getattr(client, "mock_calls", None)
    if not isinstance(recorded, list):
        return []
    return [(name, tuple(args), dict(kwargs)) for name, args, kwargs in recorded]
