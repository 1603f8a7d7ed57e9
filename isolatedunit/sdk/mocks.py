"""Mocks of a client that reject the calls that the real client would reject, and have what it has."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any
from unittest import mock

from isolatedunit.errors import OptionError
from isolatedunit.sdk.scripts import Answers, Script
from isolatedunit.sdk.shapes import Anything, Data, Function, Shape

_KEY = "_isolatedunit_models"
_ASYNC_MAGIC = ("__aenter__", "__aexit__", "__anext__")
_MAGIC = tuple(
    sorted(mock._magics | mock._async_magics | mock._calculate_return_value.keys() | mock._side_effect_methods.keys())  # type: ignore[attr-defined]
)
"""The special methods that unittest's mocks support."""

_OF_FUNCTIONS = frozenset(dir(mock.create_autospec(lambda: None)))


def make_mock(shape: Shape, replies: Mapping[str, Any]) -> Any:
    """Make a mock of a client of this *shape*; a call that does not fit the real signature is a `TypeError`.

    *replies* maps names of methods, dotted for methods of parts (``files.upload``) and of what methods give
    (``cursor.fetchone``), to a value, an exception to raise, a function to call with the arguments, or a `Script` of
    several replies. The name of an attribute is mapped to its value.
    """
    client = _make_part(shape)
    for name, reply in replies.items():
        _give_reply(client, shape.name, name, reply)
    return client


class _Models(mock.NonCallableMock):
    """The base of all mocks here: it has what its model, the `Shape` of an object or a `Function`, has."""

    def __getattr__(self, name: str) -> Any:
        model, _ = vars(self).get(_KEY, (None, None))
        if isinstance(model, Shape) and name not in vars(self)["_mock_children"]:
            found = model.find(name)
            if isinstance(found, Data):
                return found.read()
            if found is None and not name.startswith(("_mock_", "__")):
                raise AttributeError(f"{model.name!r} object has no attribute {name!r}{_hint(name, model)}")
        return super().__getattr__(name)

    def __dir__(self) -> list[str]:
        model, _ = vars(self)[_KEY]
        return sorted({*dir(type(self)), *(model if isinstance(model, Shape) else _OF_FUNCTIONS)})

    def _get_child_mock(self, /, **how: Any) -> Any:
        """Make the mock of an attribute, or of what a call gives, when it is first asked for."""
        how.pop("wraps", None)
        model, owner = vars(self)[_KEY]
        name = how["_new_name"]
        if name == "()":
            return _make_returned(model, owner, how)
        found = model.find(name) if isinstance(model, Shape) else None
        if isinstance(found, Function):
            return _make_function(found, self, how)
        return _make_part(found, how) if isinstance(found, Shape) else _anything(how)

    def _mock_check_sig(self, /, *args: Any, **kwargs: Any) -> None:
        function, _ = vars(self)[_KEY]
        if isinstance(function, Shape):
            function = function.find("__call__")
        if isinstance(function, Function):
            if function.signature is not None:
                try:
                    function.signature.bind(*args, **kwargs)
                except TypeError as exception:
                    raise TypeError(f"{function.name}(): {exception}") from None
            if function.constructed is not None:
                function.constructed.make(*args, **kwargs)


class PartMock(_Models, mock.NonCallableMagicMock):
    """The mock of a client, or of an object that it has or gives."""


class CallableMock(_Models, mock.MagicMock):
    """The mock of a method, or of an object that can be called."""


class AwaitableMock(_Models, mock.AsyncMock):
    """The mock of a method whose calls are awaited."""


def _hint(name: str, shape: Shape) -> str:
    near = difflib.get_close_matches(name, (one for one in shape if not one.startswith("_")), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _make_part(shape: Shape, how: Mapping[str, Any] | None = None) -> Any:
    magic = [name for name in _MAGIC if shape.has_magic(name)]
    made = (CallableMock if shape.has_magic("__call__") else PartMock)(spec_set=magic, **(how or {}))
    _take(made, {_KEY: (shape, None), "_mock_methods": shape, "_spec_class": shape.classes[0]})
    return made


def _make_function(function: Function, owner: Any, how: Mapping[str, Any]) -> Any:
    is_awaited = function.given.is_awaited or function.name in _ASYNC_MAGIC
    made = (AwaitableMock if is_awaited else CallableMock)(**how)
    _take(made, {_KEY: (function, owner), "_mock_methods": _OF_FUNCTIONS, "_spec_signature": function.signature})
    return made


def _take(made: Any, attributes: Mapping[str, Any]) -> None:
    """Set attributes that are unittest's and ours, and so none of the client's."""
    made.__dict__.update(attributes)


def _make_returned(model: Function | Shape, owner: Any, how: Mapping[str, Any]) -> Any:
    """What a call of a method gives if it has no reply."""
    function = model.find("__call__") if isinstance(model, Shape) else model
    if not isinstance(function, Function):
        return _anything(how)
    given = function.given
    if given.is_entered:
        manager = _anything(how)
        content = _make_part(Shape(given.classes)) if given.classes else owner if given.is_same else None
        return manager if content is None else _entering(content, manager)
    enters_itself = function.name in ("__enter__", "__aenter__") and (
        not given.is_known or function.owner in given.classes
    )
    if given.is_same or enters_itself:
        return owner
    if given.is_none and not function.name.startswith("__"):
        return None
    shape = Shape(given.classes) if given.classes else function.constructed and function.constructed.shape
    return _make_part(shape, how) if shape else _anything(how)


def _anything(how: Mapping[str, Any]) -> mock.MagicMock:
    return mock.MagicMock(**how)


def _entering(content: Any, manager: Any = None) -> Any:
    """A context manager that gives *content*."""
    manager = manager or mock.MagicMock()
    manager.__enter__.return_value = manager.__aenter__.return_value = content
    return manager


# ---- replies


def _give_reply(client: Any, class_name: str, name: str, reply: Any) -> None:
    *path, last = name.split(".")
    try:
        targets = [client]
        for step in path:
            targets = [inside for target in targets for inside in _inside(target, step)]
        for target in targets:
            _set_reply(target, last.removesuffix("()"), name, reply)
    except AttributeError as exception:
        why = str(exception)
        if not why.endswith("?"):
            why += "; a mock has only what the real client has."
        raise OptionError(f"TestSDKOptions: replies: {class_name} has no method {name!r}: {why}") from None


def _inside(target: Any, step: str) -> list[Any]:
    """Where a name in *replies* may go on after this step: in the attribute, or in what a call of it gives."""
    found = getattr(target, step.removesuffix("()"))
    if isinstance(found, _Models):
        model, _ = vars(found)[_KEY]
        if isinstance(model, Shape):
            return [found]
        return [found.return_value.__enter__.return_value if model.given.is_entered else found.return_value]
    if not isinstance(found, mock.Mock):
        raise AttributeError(f"{step!r} is {type(found).__name__}")
    return [found.return_value] if step.endswith("()") else [found, found.return_value]


def _set_reply(target: Any, name: str, full_name: str, reply: Any) -> None:
    found = target if name == "__call__" else getattr(target, name)
    if not isinstance(found, mock.Mock) or (_is_attribute(target, name) and not isinstance(reply, Script)):
        setattr(target, name, reply)
        return
    convert = _converter(vars(found).get(_KEY, (None, None))[0])
    if isinstance(reply, Script):
        answer: Callable[..., Any] = Answers(full_name, reply.replies)
    elif callable(reply) or isinstance(reply, BaseException):
        answer = Answers(full_name, (reply,), repeats=True)
    else:
        found.return_value = convert(reply)
        return
    found.side_effect = _as_effect(answer, convert, is_async=isinstance(found, mock.AsyncMock))


def _is_attribute(target: Any, name: str) -> bool:
    """Whether the real object has an attribute of this name that is certainly no method."""
    model, _ = vars(target).get(_KEY, (None, None))
    found = model.find(name) if isinstance(model, Shape) and name != "__call__" else None
    if isinstance(found, Shape):
        return not found.has_magic("__call__")
    return isinstance(found, Anything) and not found.may_be_called


def _converter(model: Any) -> Callable[[Any], Any]:
    """Makes of a reply what a call of *model* gives: a context manager of it, an asynchronous iterator, or itself."""
    if isinstance(model, Function) and model.given.is_entered:
        return lambda reply: reply if hasattr(reply, "__enter__") or hasattr(reply, "__aenter__") else _entering(reply)
    if isinstance(model, Function) and model.is_async_generator:
        return lambda reply: reply if hasattr(reply, "__aiter__") else _iterating(reply)
    return lambda reply: reply


def _iterating(items: Any) -> Any:
    made = mock.MagicMock()
    made.__aiter__.return_value = items
    return made


def _as_effect(answer: Callable[..., Any], convert: Callable[[Any], Any], *, is_async: bool) -> Callable[..., Any]:
    def effect(*args: Any, **kwargs: Any) -> Any:
        return convert(answer(*args, **kwargs))

    async def async_effect(*args: Any, **kwargs: Any) -> Any:
        value = answer(*args, **kwargs)
        return convert(await value if inspect.iscoroutine(value) else value)

    return async_effect if is_async else effect


def calls_of(client: Any) -> list[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """The calls of a mock in order: name, arguments and keyword arguments; empty for a real client."""
    recorded = getattr(client, "mock_calls", None)
    if not isinstance(recorded, list):
        return []
    return [(name, tuple(args), dict(kwargs)) for name, args, kwargs in recorded]
