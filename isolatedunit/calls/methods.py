"""`CallMethods`: the ways to make a call, each declared for every form in which it takes arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Literal, ParamSpec, TypeVar

    # trap: overloads of `typing` would take the place of the signature in the documentation
    from typing_extensions import TypeVarTuple, Unpack, overload

    from isolatedunit.calls.future import IsolatedFuture
    from isolatedunit.calls.mapping import CallResults
    from isolatedunit.calls.options import IsolatedTestOptions
    from isolatedunit.calls.pool import CallPool
    from isolatedunit.calls.result import IsolatedTestResult
    from isolatedunit.calls.signatures import (
        Async,
        AsyncLoose,
        AsyncOfOne,
        AsyncOfTwo,
        AsyncTakes,
        Loose,
        Mapped,
        OfOne,
        OfTwo,
        OnProgress,
        Opts,
        Sync,
        Takes,
        Told,
    )

    A = TypeVar("A")
    B = TypeVar("B")
    P = ParamSpec("P")
    T = TypeVar("T")
    Ts = TypeVarTuple("Ts")

_NONE: tuple[Any, ...] = ()


class CallMethods:
    """Makes calls of functions. A class of executors is derived from it.

    Type checkers hold the arguments of a call against the function's parameters, except keyword arguments beside
    ``options`` or ``on_progress``, and all arguments beside ``kwargs``: Python's types cannot say that a call takes the
    function's keywords and more.
    """

    def options_of_call(self, given: Opts) -> IsolatedTestOptions:
        """The options of a call for which *given* were given; raises `OptionError`."""
        raise NotImplementedError

    def _open_pool(self) -> CallPool:
        raise NotImplementedError

    def _count_jobs(self) -> int:
        raise NotImplementedError

    if TYPE_CHECKING:

        @overload
        def run_isolated_test(
            self, f: AsyncLoose[T], /, args: list[Any], options: Opts = ..., *, on_progress: Told = ...
        ) -> IsolatedTestResult[T]: ...

        @overload
        def run_isolated_test(
            self, f: Loose[T], /, args: list[Any], options: Opts = ..., *, on_progress: Told = ...
        ) -> IsolatedTestResult[T]: ...

        @overload
        def run_isolated_test(
            self,
            f: Async[Unpack[Ts], T],
            /,
            args: tuple[Unpack[Ts]],
            options: Opts = ...,
            *,
            on_progress: Told = ...,
        ) -> IsolatedTestResult[T]: ...

        @overload
        def run_isolated_test(
            self, f: Sync[Unpack[Ts], T], /, args: tuple[Unpack[Ts]], options: Opts = ..., *, on_progress: Told = ...
        ) -> IsolatedTestResult[T]: ...

        @overload
        def run_isolated_test(
            self, f: Async[Unpack[Ts], T], /, *given: Unpack[Ts], options: Opts, on_progress: Told = ..., **kw: Any
        ) -> IsolatedTestResult[T]: ...

        @overload
        def run_isolated_test(
            self, f: Sync[Unpack[Ts], T], /, *given: Unpack[Ts], options: Opts, on_progress: Told = ..., **kw: Any
        ) -> IsolatedTestResult[T]: ...

        @overload
        def run_isolated_test(
            self, f: Async[Unpack[Ts], T], /, *given: Unpack[Ts], on_progress: OnProgress, **named: Any
        ) -> IsolatedTestResult[T]: ...

        @overload
        def run_isolated_test(
            self, f: Sync[Unpack[Ts], T], /, *given: Unpack[Ts], on_progress: OnProgress, **named: Any
        ) -> IsolatedTestResult[T]: ...

        @overload
        def run_isolated_test(
            self, f: Loose[Any], /, *given: Any, kwargs: Mapping[str, Any], **more: Any
        ) -> IsolatedTestResult[Any]: ...

        @overload
        def run_isolated_test(
            self, f: AsyncTakes[P, T], /, *given: P.args, **named: P.kwargs
        ) -> IsolatedTestResult[T]: ...

        @overload
        def run_isolated_test(self, f: Takes[P, T], /, *given: P.args, **named: P.kwargs) -> IsolatedTestResult[T]: ...

    def run_isolated_test(  # type: ignore[misc] # a parameter of the function may be called ``options``, too
        self,
        function: Callable[..., Any],
        /,
        *given: Any,
        args: Iterable[Any] = _NONE,
        kwargs: Mapping[str, Any] | None = None,
        options: Opts = None,
        on_progress: Told = None,
        **named: Any,
    ) -> IsolatedTestResult[Any]:
        """Call *function* with a `TestInstance` and arguments in a process of its own, and wait for the result.

        The function may be anything that dill can pickle: a function of a module, a script or a notebook,
        a lambda, a closure or a bound method. An ``async def`` runs to its end in a fresh event loop.

        Arguments are given as one list or tuple, with options behind it, ``(f, (1, 2), options)``, or one by one, as
        executors take them, ``(f, 1, 2, third=3)``. *kwargs* are keyword arguments that have the names of ours.
        *options* apply to this call: an `IsolatedTestOptions` replaces the runner's, a mapping overrides
        some of them. *on_progress* is called with each `ProgressMade` of the call.

        If the function raises, crashes or hangs, the result says so. Raises `CarryError` if the function or an
        argument cannot be pickled, `OptionError` for an unusable option, and `RunnerClosed` after `shutdown`.
        """
        more: dict[str, Any] = {"args": args, "kwargs": kwargs, "options": options, "on_progress": on_progress}
        future = self.submit(function, *given, **more, **named)
        try:
            return future.result()
        except BaseException:  # such as Ctrl-C in a notebook: nobody has the future, so nobody could end the call
            future.cancel()
            raise

    if TYPE_CHECKING:

        @overload
        def submit(
            self, f: AsyncLoose[T], /, args: list[Any], options: Opts = ..., *, on_progress: Told = ...
        ) -> IsolatedFuture[T]: ...

        @overload
        def submit(
            self, f: Loose[T], /, args: list[Any], options: Opts = ..., *, on_progress: Told = ...
        ) -> IsolatedFuture[T]: ...

        @overload
        def submit(
            self,
            f: Async[Unpack[Ts], T],
            /,
            args: tuple[Unpack[Ts]],
            options: Opts = ...,
            *,
            on_progress: Told = ...,
        ) -> IsolatedFuture[T]: ...

        @overload
        def submit(
            self, f: Sync[Unpack[Ts], T], /, args: tuple[Unpack[Ts]], options: Opts = ..., *, on_progress: Told = ...
        ) -> IsolatedFuture[T]: ...

        @overload
        def submit(
            self, f: Async[Unpack[Ts], T], /, *given: Unpack[Ts], options: Opts, on_progress: Told = ..., **kw: Any
        ) -> IsolatedFuture[T]: ...

        @overload
        def submit(
            self, f: Sync[Unpack[Ts], T], /, *given: Unpack[Ts], options: Opts, on_progress: Told = ..., **kw: Any
        ) -> IsolatedFuture[T]: ...

        @overload
        def submit(
            self, f: Async[Unpack[Ts], T], /, *given: Unpack[Ts], on_progress: OnProgress, **named: Any
        ) -> IsolatedFuture[T]: ...

        @overload
        def submit(
            self, f: Sync[Unpack[Ts], T], /, *given: Unpack[Ts], on_progress: OnProgress, **named: Any
        ) -> IsolatedFuture[T]: ...

        @overload
        def submit(
            self, f: Loose[Any], /, *given: Any, kwargs: Mapping[str, Any], **more: Any
        ) -> IsolatedFuture[Any]: ...

        @overload
        def submit(self, f: AsyncTakes[P, T], /, *given: P.args, **named: P.kwargs) -> IsolatedFuture[T]: ...

        @overload
        def submit(self, f: Takes[P, T], /, *given: P.args, **named: P.kwargs) -> IsolatedFuture[T]: ...

    def submit(  # type: ignore[misc] # as above
        self,
        function: Callable[..., Any],
        /,
        *given: Any,
        args: Iterable[Any] = _NONE,
        kwargs: Mapping[str, Any] | None = None,
        options: Opts = None,
        on_progress: Told = None,
        **named: Any,
    ) -> IsolatedFuture[Any]:
        """Start a call as `run_isolated_test` does, and return its future. Cancelling the future ends its process."""
        from isolatedunit.calls.work import Work

        if given:
            if args is not _NONE:
                raise TypeError("the arguments of the function are given twice, in front of args and as args")
            args, options = _split(given, options)
        work = Work(function, tuple(args), {**(kwargs or {}), **named}, self.options_of_call(options))
        future = self._open_pool().submit(work)
        if on_progress is not None:
            future.on_progress(on_progress)
        return future

    if TYPE_CHECKING:

        @overload
        async def run_isolated_test_async(
            self, f: AsyncLoose[T], /, args: list[Any], options: Opts = ..., *, on_progress: Told = ...
        ) -> IsolatedTestResult[T]: ...

        @overload
        async def run_isolated_test_async(
            self, f: Loose[T], /, args: list[Any], options: Opts = ..., *, on_progress: Told = ...
        ) -> IsolatedTestResult[T]: ...

        @overload
        async def run_isolated_test_async(
            self,
            f: Async[Unpack[Ts], T],
            /,
            args: tuple[Unpack[Ts]],
            options: Opts = ...,
            *,
            on_progress: Told = ...,
        ) -> IsolatedTestResult[T]: ...

        @overload
        async def run_isolated_test_async(
            self, f: Sync[Unpack[Ts], T], /, args: tuple[Unpack[Ts]], options: Opts = ..., *, on_progress: Told = ...
        ) -> IsolatedTestResult[T]: ...

        @overload
        async def run_isolated_test_async(
            self, f: Async[Unpack[Ts], T], /, *given: Unpack[Ts], options: Opts, on_progress: Told = ..., **kw: Any
        ) -> IsolatedTestResult[T]: ...

        @overload
        async def run_isolated_test_async(
            self, f: Sync[Unpack[Ts], T], /, *given: Unpack[Ts], options: Opts, on_progress: Told = ..., **kw: Any
        ) -> IsolatedTestResult[T]: ...

        @overload
        async def run_isolated_test_async(
            self, f: Async[Unpack[Ts], T], /, *given: Unpack[Ts], on_progress: OnProgress, **named: Any
        ) -> IsolatedTestResult[T]: ...

        @overload
        async def run_isolated_test_async(
            self, f: Sync[Unpack[Ts], T], /, *given: Unpack[Ts], on_progress: OnProgress, **named: Any
        ) -> IsolatedTestResult[T]: ...

        @overload
        async def run_isolated_test_async(
            self, f: Loose[Any], /, *given: Any, kwargs: Mapping[str, Any], **more: Any
        ) -> IsolatedTestResult[Any]: ...

        @overload
        async def run_isolated_test_async(
            self, f: AsyncTakes[P, T], /, *given: P.args, **named: P.kwargs
        ) -> IsolatedTestResult[T]: ...

        @overload
        async def run_isolated_test_async(
            self, f: Takes[P, T], /, *given: P.args, **named: P.kwargs
        ) -> IsolatedTestResult[T]: ...

    async def run_isolated_test_async(  # type: ignore[misc] # as above
        self, function: Callable[..., Any], /, *given: Any, **more: Any
    ) -> IsolatedTestResult[Any]:
        """Make a call as `run_isolated_test` does, from asyncio code. Cancelling the task ends the call's process."""
        import asyncio  # imported here, since only this method needs it

        return await asyncio.wrap_future(self.submit(function, *given, **more))

    if TYPE_CHECKING:

        @overload
        def map(
            self, f: AsyncOfOne[A, T], items: Iterable[A], /, *, unwrap: Literal[True], **how: Unpack[Mapped]
        ) -> CallResults[T]: ...

        @overload
        def map(
            self, f: AsyncOfOne[A, T], items: Iterable[A], /, *, unwrap: Literal[False] = ..., **how: Unpack[Mapped]
        ) -> CallResults[IsolatedTestResult[T]]: ...

        @overload
        def map(
            self,
            f: AsyncOfTwo[A, B, T],
            one: Iterable[A],
            two: Iterable[B],
            /,
            *,
            unwrap: Literal[True],
            **how: Unpack[Mapped],
        ) -> CallResults[T]: ...

        @overload
        def map(
            self,
            f: AsyncOfTwo[A, B, T],
            one: Iterable[A],
            two: Iterable[B],
            /,
            *,
            unwrap: Literal[False] = ...,
            **how: Unpack[Mapped],
        ) -> CallResults[IsolatedTestResult[T]]: ...

        @overload
        def map(
            self, f: OfOne[A, T], items: Iterable[A], /, *, unwrap: Literal[True], **how: Unpack[Mapped]
        ) -> CallResults[T]: ...

        @overload
        def map(
            self, f: OfOne[A, T], items: Iterable[A], /, *, unwrap: Literal[False] = ..., **how: Unpack[Mapped]
        ) -> CallResults[IsolatedTestResult[T]]: ...

        @overload
        def map(
            self,
            f: OfTwo[A, B, T],
            one: Iterable[A],
            two: Iterable[B],
            /,
            *,
            unwrap: Literal[True],
            **how: Unpack[Mapped],
        ) -> CallResults[T]: ...

        @overload
        def map(
            self,
            f: OfTwo[A, B, T],
            one: Iterable[A],
            two: Iterable[B],
            /,
            *,
            unwrap: Literal[False] = ...,
            **how: Unpack[Mapped],
        ) -> CallResults[IsolatedTestResult[T]]: ...

        @overload
        def map(
            self,
            f: Callable[..., Any],
            one: Iterable[Any],
            two: Iterable[Any],
            three: Iterable[Any],
            /,
            *more: Iterable[Any],
            unwrap: Literal[True],
            **how: Unpack[Mapped],
        ) -> CallResults[Any]: ...

        @overload
        def map(
            self,
            f: Callable[..., Any],
            one: Iterable[Any],
            two: Iterable[Any],
            three: Iterable[Any],
            /,
            *more: Iterable[Any],
            unwrap: Literal[False] = ...,
            **how: Unpack[Mapped],
        ) -> CallResults[IsolatedTestResult[Any]]: ...

    def map(
        self,
        function: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | timedelta | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
        options: Opts = None,
        unwrap: bool = False,
    ) -> CallResults[Any]:
        """Start a call for each of the items and return an iterator of results in order, like `Executor.map`.

        It can be used in ``async for``, too. With *unwrap* it gives the returned values, and raises what
        `IsolatedTestResult.unwrap` raises for the first call that failed. *chunksize* items share a process: the
        function is called with one after another, which costs less, and an item that crashes takes those after it in
        its chunk along. At most *buffersize* calls are started before their results are asked for. Without it, that
        many only if an iterable has no length: iterators are consumed while results are, twice as far ahead as there
        may be processes.

        The iterator raises `concurrent.futures.TimeoutError` (since Python 3.11 the built-in `TimeoutError`) if a
        result is not available *timeout*, seconds or a ``timedelta``, after the call of this method.
        """
        from isolatedunit.calls.mapping import CallResults, consume

        jobs, own = self._count_jobs(), self.options_of_call(options)
        started = consume(self.submit, own, iterables, function, jobs=jobs, chunksize=chunksize, buffersize=buffersize)
        return CallResults(started, timeout=timeout, unwrap=unwrap)


def _split(given: tuple[Any, ...], options: Any) -> tuple[tuple[Any, ...], Any]:
    """The arguments of a function and the options of its call, as they were given by position."""
    first, *rest = given
    if not isinstance(first, (list, tuple)):
        return given, options
    if not rest:
        return tuple(first), options
    is_options = rest[0] is None or isinstance(rest[0], Mapping) or hasattr(rest[0], "as_overrides")
    if len(rest) == 1 and options is None and is_options:
        return tuple(first), rest[0]
    return given, options
