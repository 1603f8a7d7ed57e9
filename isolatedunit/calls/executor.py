"""The programmatic door: `IsolatedTestRunner` as an executor of isolated calls.

What calls take is imported with the first of them: a run of tests has none.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from isolatedunit.calls.request_handlers import Handlers
from isolatedunit.config.options import TABLE, Options
from isolatedunit.errors import OptionError, RunnerClosed
from isolatedunit.model.events import Listener

if TYPE_CHECKING:
    from concurrent.futures import Future

    from isolatedunit.calls.api import IsolatedTestOptions, IsolatedTestResult
    from isolatedunit.calls.pool import CallPool

    CallOptions = IsolatedTestOptions | Mapping[str, Any] | None


class IsolatedCaller:
    """Calls functions, each in a process of its own. May be used from several threads at once.

    As with an executor of `concurrent.futures`, calls beyond ``max_concurrent_processes`` wait.
    `shutdown` ends what it holds, and so does leaving a ``with`` block; a caller that is forgotten
    leaves no process behind either.
    """

    options: Options

    def __init__(self, listeners: Iterable[Listener], test_sdk_options: Any = None) -> None:
        self.test_sdk_options = test_sdk_options
        self._call_listeners = tuple(listeners)
        self._handlers = Handlers()
        self._pool: CallPool | None = None
        self._is_shut_down = False
        self._pool_lock = threading.Lock()

    def run_isolated_test(
        self, function: Callable[..., Any], args: Iterable[Any] = (), options: CallOptions = None
    ) -> IsolatedTestResult:
        """Call *function* with a `TestInstance` and *args* in a process of its own; wait for what comes of it.

        Any function that dill can carry will do: of a module, a script or a notebook, a lambda, a
        closure, a bound method; an ``async def`` runs to its end in a fresh event loop. *options* are
        those of this call: an `IsolatedTestOptions` in place of the runner's, or a mapping of those
        that differ.

        A function that raises, crashes or hangs has a result that says so. Raises `CarryError` for
        what cannot be carried, `OptionError`, and `RunnerClosed` after `shutdown`.
        """
        return self.submit(function, args, options).result()

    def submit(
        self, function: Callable[..., Any], args: Iterable[Any] = (), options: CallOptions = None
    ) -> Future[IsolatedTestResult]:
        """The same, at once: gives the future result. Cancelling it ends the call's process."""
        return self._open_pool().submit(function, tuple(args), self._options_of_call(options))

    async def run_isolated_test_async(
        self, function: Callable[..., Any], args: Iterable[Any] = (), options: CallOptions = None
    ) -> IsolatedTestResult:
        """The same, for ``await`` and `asyncio.gather`. Cancelling the task ends the call's process."""
        import asyncio  # which nobody else needs

        return await asyncio.wrap_future(self.submit(function, args, options))

    def map(
        self,
        function: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        options: CallOptions = None,
    ) -> Iterator[IsolatedTestResult]:
        """The results for one call with each of the items, in their order, as `Executor.map` has it.

        Raises `concurrent.futures.TimeoutError`, the built-in one since Python 3.11, when a result is
        not there *timeout* seconds after this was called.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        futures = [self.submit(function, args, options) for args in zip(*iterables, strict=False)]

        def results() -> Iterator[IsolatedTestResult]:
            try:
                for future in futures:
                    yield future.result(None if deadline is None else max(0.0, deadline - time.monotonic()))
            finally:
                for future in futures:
                    future.cancel()

        return results()

    def on_request(self, name: str, handler: Callable[[Any], Any], *, pickled: bool = False) -> None:
        """Have *handler* answer ``ipc.request(name, value)`` of isolated tests and calls.

        It gets the value and gives the reply; it may be an ``async def``, and is called in a thread
        of its own, up to eight at the same time. With *pickled* it also takes values that a test
        pickled, which runs what the test put into them.
        """
        self._handlers.register(name, handler, pickled=pickled)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls. *wait* for those that there are, or end them with *cancel_futures*."""
        with self._pool_lock:
            self._is_shut_down = True
            pool = self._pool
        if pool is not None:
            pool.shutdown(wait, cancel_futures=cancel_futures)
        else:
            self._handlers.close()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # who pressed Ctrl-C does not want to wait for what still runs
        self.shutdown(cancel_futures=kind is not None and not issubclass(kind, Exception))

    def _open_pool(self) -> CallPool:
        with self._pool_lock:
            if self._is_shut_down:
                raise RunnerClosed("cannot schedule a function after shutdown; create a new runner.")
            if self._pool is None:
                from isolatedunit.calls.pool import CallPool

                self._pool = CallPool(self.options, self._call_listeners, self._handlers)
            return self._pool

    def _options_of_call(self, given: CallOptions) -> IsolatedTestOptions:
        from isolatedunit.calls.api import IsolatedTestOptions

        if isinstance(given, IsolatedTestOptions):
            return given
        own = IsolatedTestOptions.of(self.options, test_sdk_options=self.test_sdk_options)
        if given is None:
            return own
        if not isinstance(given, Mapping):
            raise OptionError(f"the options of a call must be an IsolatedTestOptions or a mapping, not {given!r}.")
        return own.with_values(given)


def options_from(given: Options | IsolatedTestOptions, base: Options) -> tuple[Options, Any]:
    """The runner's options, and the SDK's, where *given* may be those of calls."""
    if isinstance(given, Options):
        return given, None
    values = {name: getattr(given, name) for name in vars(given) if name in TABLE}
    return replace(base, **values), given.test_sdk_options
