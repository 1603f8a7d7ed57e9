"""What a client has, and what its methods give: the shape that a full mock is modelled on.

The client's class says most of it. Where it does not, a real object is made, without access to the network, and looked
at; none of its methods is called.
"""

from __future__ import annotations

import collections.abc
import contextlib
import enum
import functools
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Union

from isolatedunit.errors import OptionError
from isolatedunit.sdk.annotations import Given, declared_names, read_attribute
from isolatedunit.sdk.clients import signature_in_service
from isolatedunit.sdk.offline import ConnectionAttempted, no_connections
from isolatedunit.sdk.sources import attributes_set_by, returned_by

_MISSING = object()
_VALUES = (str, bytes, bytearray, int, float, complex, type, type(None), BaseException, enum.Enum)
_COLLECTIONS = (collections.abc.Mapping, collections.abc.Sequence, collections.abc.Set)
_TAKES_ALL = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
_MOST_IDENTIFIERS = 4
_MODULES_OF_VALUES = frozenset(
    {"_thread", "builtins", "collections", "datetime", "decimal", "fractions", "pathlib", "re", "types", "uuid"}
)


class Real:
    """A real object, made when it is first needed and without access to the network.

    If it cannot be made, *told* is called once with the reason.
    """

    def __init__(self, make: Callable[[], Any], told: Callable[[BaseException], object] = lambda _: None) -> None:
        self._make: Callable[[], Any] | None = make
        self._told = told
        self._object: Any = _MISSING
        self.problem: BaseException | None = None

    def get(self) -> Any:
        """The object, or `_MISSING` if it cannot be made; `problem` is then the reason."""
        make, self._make = self._make, None
        if make is not None:
            try:
                with no_connections():
                    made = make()
                if inspect.iscoroutine(made):
                    made.close()
                    raise TypeError("the client has to be awaited")
                self._object = made
            except (Exception, ConnectionAttempted) as exception:
                self.problem = exception
                self._told(exception)
        return self._object

    def close(self, close: Callable[[Any], object]) -> None:
        """Call *close* with the object, if it was made."""
        if self._object is not _MISSING:
            close(self._object)


class Data:
    """An attribute that holds data: a mock has it as the real object has it."""

    def __init__(self, read: Callable[[], Any]) -> None:
        self.read = read


class Anything:
    """An attribute of which only the name is known; *may_be_called* says that it may be a method."""

    def __init__(self, *, may_be_called: bool = False) -> None:
        self.may_be_called = may_be_called


@dataclass
class Function:
    """A method, or an attribute that can be called like one. *owner* is the class that has it, *real* its object."""

    name: str
    function: Callable[..., Any]
    owner: type
    real: Callable[[], Any]
    is_bound: bool = True

    @functools.cached_property
    def given(self) -> Given:
        """What a call gives."""
        function = self.function
        while isinstance(function, functools.partial):
            function = function.func
        return returned_by(getattr(function, "__func__", function), self.owner)

    @functools.cached_property
    def is_async_generator(self) -> bool:
        """Whether a call gives an asynchronous iterator."""
        return inspect.isasyncgenfunction(inspect.unwrap(self.function))

    @functools.cached_property
    def signature(self) -> inspect.Signature | None:
        """The signature of a call; None if it is not known."""
        signature = self._own_signature()
        kinds = {one.kind for one in signature.parameters.values()} if signature is not None else set()
        if kinds and kinds <= _TAKES_ALL:
            return signature_in_service(self.real(), self.name) or signature
        return signature

    def _own_signature(self) -> inspect.Signature | None:
        try:
            signature = inspect.signature(self.function)
        except (ValueError, TypeError):  # one written in C may have none
            return None
        parameters = list(signature.parameters.values())
        if self.is_bound or not parameters or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
            return signature
        if parameters[0].kind is inspect.Parameter.VAR_POSITIONAL:
            return signature
        return signature.replace(parameters=parameters[1:])

    @functools.cached_property
    def constructed(self) -> Constructed | None:
        """The object that a call gives, if the method makes one: it is then named like the class, and is called."""
        if not self.name[:1].isupper() or self.given.is_known or self.given.is_plain:
            return None
        real = self.real()
        return None if real is _MISSING else Constructed(getattr(real, self.name))


class Constructed:
    """An object that a method named like its class makes, such as the resources of boto3."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make
        self._object: Any = _MISSING

    def make(self, *args: Any, **kwargs: Any) -> None:
        """Make the object with these arguments; raises whatever the real method raises."""
        with no_connections():
            self._object = self._make(*args, **kwargs)

    @functools.cached_property
    def shape(self) -> Shape | None:
        """What the object has; if it was not made yet, of one with other arguments. None if that cannot be made."""
        for count in range(_MOST_IDENTIFIERS + 1):
            if self._object is not _MISSING:
                return Shape((type(self._object),), lambda: self._object)
            with contextlib.suppress(Exception, ConnectionAttempted):
                self.make(*["mock"] * count)
        return None


Found = Union[Data, Anything, Function, "Shape"]
"""What an attribute is; a `Shape` for an object with attributes of its own."""


class Shape:
    """What an object of one of *classes* has; *real* gives such an object, or `_MISSING`.

    It is a container of the names of all attributes.
    """

    def __init__(self, classes: tuple[type, ...], real: Callable[[], Any] = lambda: _MISSING) -> None:
        self.classes = classes
        self._real = real
        self._found: dict[str, Found | None] = {}

    @property
    def name(self) -> str:
        """The name of the class."""
        return self.classes[0].__name__

    def find(self, name: str) -> Found | None:
        """What the attribute is; None if there is no attribute."""
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def __contains__(self, name: str) -> bool:
        return self.find(name) is not None

    def __iter__(self) -> Iterator[str]:
        names = {name for cls in self.classes for name in (*dir(cls), *declared_names(cls))}
        real = self._real()
        return iter(sorted(names | set(dir(real) if real is not _MISSING else self._names_that_methods_set())))

    def has_magic(self, name: str) -> bool:
        """Whether the classes define this special method."""
        return any(_in_class(cls, name) is not _MISSING for cls in self.classes)

    def _find(self, name: str) -> Found | None:
        for cls in self.classes:
            attribute = _in_class(cls, name)
            if attribute is not _MISSING:
                return self._describe(cls, name, attribute)
        if name.startswith("__") and name.endswith("__"):
            return None  # Python looks for special methods in the class alone
        for cls in self.classes:
            declared = read_attribute(cls, name)
            if declared is not None:
                return self._describe_given(name, declared)
        found = self._find_in_real(name)
        if found is None and self._real() is _MISSING:
            if name in self._names_that_methods_set():
                return Anything()
            return Anything(may_be_called=True) if self._is_dynamic else None
        return found

    @property
    def _is_dynamic(self) -> bool:
        """Whether a class may have attributes of any name; one that declares some may have those, too, that way."""
        dynamic = [cls for cls in self.classes if _in_class(cls, "__getattr__") is not _MISSING]
        return any(all(name.startswith("_") for name in declared_names(cls)) for cls in dynamic)

    def _names_that_methods_set(self) -> set[str]:
        return {name for cls in self.classes for name in attributes_set_by(cls)}

    def _describe(self, cls: type, name: str, attribute: Any) -> Found:
        """What an attribute is that the class *cls* has."""
        is_descriptor = hasattr(type(attribute), "__get__")
        if isinstance(attribute, (staticmethod, classmethod)):
            return Function(name, getattr(cls, name), cls, self._real)
        if is_descriptor and (callable(attribute) or isinstance(attribute, functools.partialmethod)):
            return Function(name, getattr(cls, name), cls, self._real, is_bound=False)
        if is_descriptor:
            getter = getattr(attribute, "fget", None) or getattr(attribute, "func", None)
            given = returned_by(getter, cls) if inspect.isfunction(getter) else read_attribute(cls, name) or Given()
            return self._describe_given(name, given)
        declared = read_attribute(cls, name)
        if declared is not None and declared.classes:
            return self._describe_given(name, declared)
        found = self._find_in_real(name)
        return found if found is not None else self._describe_value(name, lambda: attribute)

    def _describe_given(self, name: str, given: Given) -> Found:
        if given.classes and not issubclass(given.classes[0], _COLLECTIONS):
            return Shape(given.classes, lambda: self._read_real(name))
        found = self._find_in_real(name)
        if found is None:
            return Shape(given.classes) if given.classes else Anything()
        return found

    def _find_in_real(self, name: str) -> Found | None:
        """What the attribute of the real object is; None if there is no such object, or it has no such attribute."""
        if self._real() is _MISSING:
            return None
        try:
            value = self._read_real(name, or_raise=True)
        except AttributeError:
            return None
        except (Exception, ConnectionAttempted):  # it exists, and reading it needs the service
            return Anything()
        return self._describe_value(name, lambda: self._read_real(name), value)

    def _read_real(self, name: str, *, or_raise: bool = False) -> Any:
        real = self._real()
        if real is _MISSING:
            return _MISSING
        try:
            with no_connections():
                return getattr(real, name)
        except (Exception, ConnectionAttempted):
            if or_raise:
                raise
            return _MISSING

    def _describe_value(self, name: str, read: Callable[[], Any], value: Any = _MISSING) -> Found:
        value = read() if value is _MISSING else value
        if isinstance(value, type) or not (inspect.isroutine(value) or isinstance(value, functools.partial)):
            return Data(read) if _is_data(value) else Shape((type(value),), read)
        return Function(name, value, self.classes[0], self._real)


def _in_class(cls: type, name: str) -> Any:
    for base in cls.__mro__:
        if name in vars(base):
            return vars(base)[name]
    return _MISSING


def _is_data(value: Any) -> bool:
    is_value = isinstance(value, _VALUES) or type(value).__module__ in _MODULES_OF_VALUES
    return is_value or isinstance(value, _COLLECTIONS)


def shape_of_client(thing: Any, make: Callable[[], Any], arguments: Mapping[str, Any]) -> tuple[Shape, Real]:
    """The shape of the client that *thing*, its class or a factory function, makes, and the real client.

    *make* makes that. Raises `OptionError` for arguments that *thing* does not take, and if neither shows what the
    client has.
    """
    name = getattr(thing, "__qualname__", repr(thing))
    if callable(thing):
        _check_arguments(thing, name, arguments)
    if isinstance(thing, type):
        real = Real(make, lambda problem: _warn_of(name, problem))
        return Shape((thing,), real.get), real
    real = Real(make)
    given = Given()
    if callable(thing):
        owner = getattr(thing, "__self__", None)
        given = returned_by(getattr(thing, "__func__", thing), owner if isinstance(owner, type) else None)
        if given.is_same and isinstance(owner, type):
            return Shape((owner,)), real
    if given.classes:  # such a function may connect at once, and need not be called
        return Shape(given.classes), real
    if real.get() is _MISSING:
        raise OptionError(
            f"TestSDKOptions: sdk: a full mock of what {name} makes needs its class, and the real client could not be "
            f"made to look: {type(real.problem).__name__}: {real.problem}. Name its class."
        )
    refuse_data(real.get(), thing)
    return Shape((type(real.get()),), real.get), real


def refuse_data(made: Any, by: Any) -> None:
    """Raise `OptionError` if what is named as an SDK has made something that can be no client, such as a number."""
    if type(made).__module__ == "builtins" and not (callable(made) or inspect.ismodule(made)):
        name = getattr(by, "__qualname__", repr(by))
        raise OptionError(
            f"TestSDKOptions: sdk: {name} makes {made!r:.60}, which is no client; give a client's class, or a function "
            "that makes a client."
        )


def _warn_of(name: str, problem: BaseException) -> None:
    warnings.warn(
        f"mock_level 'full_mock': no real {name} could be made to see what it has besides what its class says, so the "
        f"mock may have too much or too little: {type(problem).__name__}: {problem}. Pass what its constructor needs "
        "as arguments, or override mock_arguments in an adapter.",
        stacklevel=2,
    )


def _check_arguments(thing: Callable[..., Any], name: str, arguments: Mapping[str, Any]) -> None:
    try:
        inspect.signature(thing).bind_partial(**arguments)
    except TypeError as exception:
        raise OptionError(
            f"TestSDKOptions: arguments: {name} does not accept {dict(arguments)!r}: {exception}."
        ) from exception
    except ValueError:
        pass  # a class written in C may have no signature
