"""What a call takes to its process: the function with its arguments, and the caller's surroundings."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from isolatedunit.calls.options import IsolatedTestOptions
from isolatedunit.collection.import_path import path_of_children
from isolatedunit.errors import CarryError
from isolatedunit.handles import django_setup
from isolatedunit.model.results import PlannedTest
from isolatedunit.protocol.channel import MAX_SAVED
from isolatedunit.protocol.pickling import carry, carry_bytes
from isolatedunit.protocol.uncarried import MAIN, about
from isolatedunit.system.processes import RUN_VARIABLE

if TYPE_CHECKING:
    from isolatedunit.sdk.options import TestSDKOptions

CARRIER = "dill"
"""The module that every child of a call needs: importing it takes 70 ms, which a template spends once for all."""


@dataclass(frozen=True)
class Work:
    """A function to call with a `TestInstance`, *args* and *kwargs*."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    options: IsolatedTestOptions

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(f"expected a callable, not {self.function!r}")

    @property
    def name(self) -> str:
        """The function's name."""
        function = self.function
        return str(getattr(function, "__qualname__", type(function).__qualname__))

    def plan(self, number: int, preparation: Preparation) -> PlannedTest:
        """What the engine runs. Raises `CarryError` for a function or arguments that cannot be sent."""
        here = Surroundings()
        return PlannedTest(
            number=number,
            id=f"{getattr(self.function, '__module__', None) or '?'}.{self.name}",
            name=self.name,
            description=None,
            class_id="",
            module="",
            home=preparation.home_of(self.function, here.sys_path, self.options.test_sdk_options),
            address={"function": self._carry(), **preparation.of_children(), **vars(here)},
            overrides=self.options.as_overrides(),
        )

    def _carry(self) -> bytes:
        try:
            carried = carry_bytes((self.function, self.args, dict(self.kwargs), self.options.test_sdk_options))
        except CarryError as error:
            raise CarryError(self._say_what_cannot_be_carried(error)) from error.__cause__
        if len(carried) > MAX_SAVED:
            raise CarryError(
                f"{self.name} and its arguments cannot be sent to another process: they take {len(carried):,} bytes, "
                f"and the limit is {MAX_SAVED:,}; have the function read them from a file."
            )
        return carried

    def _say_what_cannot_be_carried(self, error: CarryError) -> str:
        part, *steps = error.steps or (None,)
        what = self.name
        given: Any = None if part is None else (None, self.args, self.kwargs)[part.name] if part.name < 3 else None
        if given is not None and steps:
            at = steps.pop(0).name
            kind = f"a {type(given[at]).__qualname__}" if steps else error.kind
            which = f"argument {at!r}" if given is self.kwargs else f"argument {at + 1}"
            parameter = "" if given is self.kwargs else _parameter_at(self.function, at)
            what = f"{which} of {self.name}{parameter}, {kind},"
        elif part is not None and part.name == 3:
            what = f"the test_sdk_options for {self.name}"
        return f"{what} cannot be sent to another process: {about(error, steps)}"


def _parameter_at(function: Callable[..., Any], at: int) -> str:
    """The name of the parameter that takes this argument, in brackets; empty if it is not known."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ""
    names = [one.name for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    return f" ({names[at + 1]})" if at + 1 < len(names) else ""


class Surroundings:
    """The environment, the current directory and the ``sys.path`` of this process at this moment."""

    def __init__(self) -> None:
        self.environment = _copy_environment()
        self.sys_path = list(path_of_children())
        self.directory: str | None
        try:
            self.directory = os.getcwd()
        except OSError:  # it was removed
            self.directory = None


def _copy_environment() -> dict[str, str]:
    while True:
        try:
            found = os.environ.copy()
        except RuntimeError:  # another thread has just set a variable
            continue
        found.pop(RUN_VARIABLE, None)
        return found


class Preparation:
    """What a runner has its processes do before any call: import *modules*, and call an initializer.

    Where Django is set up in this process, they also set it up, with the databases that it has here.
    """

    def __init__(
        self, modules: Sequence[str] = (), initializer: Callable[..., Any] | None = None, initargs: Sequence[Any] = ()
    ) -> None:
        """Carry the *initializer* with its arguments; raises `CarryError` if that cannot be sent."""
        self.modules = tuple(modules)
        self.path = path_of_children()
        self._reloads = Reloads()
        self._django: tuple[Any, list[str]] = (None, [])
        self._own: list[str] = []
        if initializer is not None:
            try:
                self._own.append(carry((initializer, tuple(initargs))))
            except CarryError as error:
                name = getattr(initializer, "__qualname__", repr(initializer))
                text = f"the initializer {name} cannot be sent to another process: {error}"
                raise CarryError(text) from error.__cause__

    @property
    def initializers(self) -> list[str]:
        """What processes call first of all, each pickled with its arguments."""
        wanted = django_setup.find()
        if wanted != self._django[0]:
            self._django = wanted, [] if wanted is None else [carry((django_setup.repeat, wanted))]
        return self._django[1] + self._own

    def home_of(
        self, function: Callable[..., Any], sys_path: Sequence[str], sdk: TestSDKOptions | None
    ) -> dict[str, Any]:
        """What a template imports and calls for the function, with this ``sys.path``."""
        name = getattr(function, "__module__", None)
        module = sys.modules.get(name) if isinstance(name, str) else None
        is_importable = module is not None and name not in MAIN and getattr(module, "__spec__", None) is not None
        home: dict[str, Any] = {"with": [CARRIER, *self.modules]}
        if sdk is not None:
            home["if possible"] = sdk.modules
            home["begins with"] = [f"import {module}" for module in (*home["with"], *sdk.modules)]
            home["sdk"] = sdk.as_preloaded
        if is_importable:
            home["module"] = name
        reloads = self._reloads.count(str(name))
        if reloads:
            home["reloads"] = reloads  # templates that were there before have not the modules that are here
        new = [directory for directory in sys_path if directory not in self.path]
        if new:
            home["path"] = new
        if self.initializers:
            home["initializers"] = self.initializers
        return home

    def of_children(self) -> dict[str, Any]:
        """What a child has to know, unless its template has done it."""
        return {"initializers": self.initializers, "preload": list(self.modules)}


class Reloads:
    """Counts how often modules of this process were imported anew, as ``%autoreload`` of a notebook does it."""

    def __init__(self) -> None:
        self._specs: dict[str, Any] = {}
        self._count = 0

    def count(self, name: str) -> int:
        """The number so far. Outside of an interactive session only the module of this *name* is looked at."""
        for one in list(sys.modules) if hasattr(sys, "ps1") else [name]:
            spec = _spec_of(sys.modules.get(one))
            if spec is not None and self._specs.setdefault(one, spec) is not spec:
                self._specs[one] = spec
                self._count += 1
        return self._count


def _spec_of(module: Any) -> Any:
    try:
        return object.__getattribute__(module, "__dict__").get("__spec__")  # trap: this imports no lazy module
    except AttributeError:
        return None
