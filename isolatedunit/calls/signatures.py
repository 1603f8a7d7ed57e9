"""The functions that can be called, and what a call may be given, for type checkers, which alone import this module."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, TypedDict, TypeVar

from isolatedunit.calls.option_values import CallOptionValues
from isolatedunit.calls.options import IsolatedTestOptions
from isolatedunit.model.events import ProgressMade
from isolatedunit.sdk.instance import TestInstance

if sys.version_info >= (3, 11):
    from typing import TypeVarTuple, Unpack
else:  # type checkers have it
    from typing_extensions import TypeVarTuple, Unpack

P = ParamSpec("P")
Ts = TypeVarTuple("Ts")
T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")

Takes = Callable[Concatenate[TestInstance, P], T]
"""A function of any parameters. Each asynchronous form gives the value of its coroutine."""
AsyncTakes = Callable[Concatenate[TestInstance, P], Coroutine[Any, Any, T]]
Sync = Callable[[TestInstance, Unpack[Ts]], T]
"""A function whose arguments are given by position, as they are where options of the call stand beside them."""
Async = Callable[[TestInstance, Unpack[Ts]], Coroutine[Any, Any, T]]
OfOne = Callable[[TestInstance, A], T]
"""A function that `map` calls with the items of one iterable."""
AsyncOfOne = Callable[[TestInstance, A], Coroutine[Any, Any, T]]
OfTwo = Callable[[TestInstance, A, B], T]
AsyncOfTwo = Callable[[TestInstance, A, B], Coroutine[Any, Any, T]]

Loose = Callable[Concatenate[TestInstance, ...], T]
"""A function whose arguments are in a list, of which types do not tell the items."""
AsyncLoose = Callable[Concatenate[TestInstance, ...], Coroutine[Any, Any, T]]

Opts = IsolatedTestOptions | CallOptionValues | None
OnProgress = Callable[[ProgressMade], object]
Told = OnProgress | None


class Mapped(TypedDict, total=False):
    """What `map` may be told."""

    timeout: float | timedelta | None
    chunksize: int
    buffersize: int | None
    options: Opts
