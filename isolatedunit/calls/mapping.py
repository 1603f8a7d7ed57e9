"""`IsolatedCaller.map`: consumes items, starts calls for them, and gives the results in order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, cast

from isolatedunit.calls.result import IsolatedTestResult, session_of
from isolatedunit.child.chunk import Chunk
from isolatedunit.errors import OptionError
from isolatedunit.system.durations import to_seconds

if TYPE_CHECKING:
    from isolatedunit.calls.future import IsolatedFuture
    from isolatedunit.calls.options import IsolatedTestOptions

V = TypeVar("V")

Started = tuple["IsolatedFuture[Any]", int | None]
"""A call, and the number of items in it; None for a call that is not of a chunk."""


class CallResults(Iterator[V]):
    """The results of `IsolatedCaller.map`, in order. It may be used in ``for`` and in ``async for``.

    What is not consumed is cancelled when this iterator is closed or forgotten, or when a result is late.
    """

    def __init__(self, started: _Ahead, *, timeout: float | timedelta | None, unwrap: bool) -> None:
        self._started = started
        seconds = to_seconds(timeout, "map")
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._unwrap = unwrap
        self._of_chunk: deque[IsolatedTestResult[Any]] = deque()

    def __iter__(self) -> CallResults[V]:
        return self

    def __next__(self) -> V:
        if not self._of_chunk:
            future, size = self._next_started()
            try:
                self._take(future.result(self._left()), size)
            except BaseException:
                self.close()
                raise
        return self._give()

    def __aiter__(self) -> CallResults[V]:
        return self

    async def __anext__(self) -> V:
        import asyncio  # imported here, since only asyncio code gets here

        if not self._of_chunk:
            try:
                future, size = self._next_started()
            except StopIteration:
                raise StopAsyncIteration from None
            try:
                self._take(await asyncio.wait_for(asyncio.wrap_future(future), self._left()), size)
            except BaseException:
                self.close()
                raise
        return self._give()

    def close(self) -> None:
        """Cancel the calls whose results were not consumed."""
        self._started.cancel()

    def __del__(self) -> None:
        self._started.cancel()

    def _next_started(self) -> Started:
        return next(self._started)

    def _left(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def _take(self, result: IsolatedTestResult[Any], size: int | None) -> None:
        if size is None:
            self._of_chunk.append(result)
        else:
            self._of_chunk += _split(result, size)

    def _give(self) -> V:
        result = self._of_chunk.popleft()
        if not self._unwrap:
            return cast(V, result)
        try:
            return cast(V, result.unwrap())
        except (StopIteration, StopAsyncIteration) as exception:  # trap: it would look like the end of the results
            self.close()
            raise RuntimeError(f"a call raised {type(exception).__name__}") from exception
        except BaseException:
            self.close()
            raise


def _split(result: IsolatedTestResult[Any], size: int) -> Iterator[IsolatedTestResult[Any]]:
    """The results of the items of a chunk. Those that the process did not come to have the chunk's own result."""
    ended = result.test_results if result.success else []
    for item in ended or ():
        session = None if item.session is None else session_of(item.session)
        yield replace(result, **{**vars(item), "session": session})
    for _ in range(size - len(ended or ())):
        yield result


class _Ahead(Iterator[Started]):
    """Starts calls of *chunks* by *submit*, and gives them in order; at most *ahead* are started and not given yet."""

    def __init__(
        self, chunks: Iterator[Sequence[Any]], submit: Callable[[Sequence[Any]], Started], ahead: int | None
    ) -> None:
        self._chunks = chunks
        self._submit = submit
        self._started: deque[Started] = deque()
        self._start(ahead)

    def _start(self, count: int | None) -> None:
        for chunk in islice(self._chunks, count):
            self._started.append(self._submit(chunk))

    def __next__(self) -> Started:
        self._start(1)
        if not self._started:
            raise StopIteration
        return self._started.popleft()

    def cancel(self) -> None:
        """Start no more, and cancel what was not given."""
        self._chunks = iter(())
        for future, _ in self._started:
            future.cancel()
        self._started.clear()


def consume(
    submit: Callable[..., IsolatedFuture[Any]],
    options: IsolatedTestOptions,
    iterables: Sequence[Iterable[Any]],
    function: Callable[..., Any],
    *,
    jobs: int,
    chunksize: int,
    buffersize: int | None,
) -> _Ahead:
    """Begin to consume *iterables*, and *submit* calls of *function* with their items and these *options*."""
    for name, value in (("chunksize", chunksize), ("buffersize", buffersize)):
        if value is not None and (type(value) is not int or value < 1):
            raise OptionError(f"map: {name}: invalid value {value!r}; expected a whole number that is at least 1.")
    if buffersize is None and not all(isinstance(iterable, Sized) for iterable in iterables):
        buffersize = 2 * jobs
    items = zip(*iterables, strict=False)

    def start(chunk: Sequence[Any]) -> Started:
        if chunksize == 1:
            return submit(function, args=chunk[0], options=options), None
        return submit(Chunk(function), args=chunk, options=_for_several(options, len(chunk))), len(chunk)

    return _Ahead(iter(lambda: list(islice(items, chunksize)), []), start, buffersize)


def _for_several(options: IsolatedTestOptions, count: int) -> IsolatedTestOptions:
    """The options of a call for so many items: each of them has the time of one."""
    if options.process_timeout is None:
        return options
    return options.with_values({"process_timeout": timedelta(seconds=options.process_timeout * count)})
