"""Makes `IsolatedTestRunner` an executor of isolated calls.

The modules that calls need are imported with the first call, since a run of tests makes none.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from isolatedunit.calls.request_handlers import Handlers
from isolatedunit.config.options import TABLE, Options
from isolatedunit.errors import CarryError, OptionError, RunnerClosed
from isolatedunit.model.events import Listener

if TYPE_CHECKING:
    from concurrent.futures import Future

    from isolatedunit.calls.options import IsolatedTestOptions
    from isolatedunit.calls.pool import CallPool
    from isolatedunit.calls.result import IsolatedTestResult

    CallOptions = IsolatedTestOptions | Mapping[str, Any] | None


class IsolatedCaller:
    """Calls functions, each in a process of its own. Several threads may use it at once.

    As with an executor of `concurrent.futures`, calls beyond ``max_concurrent_processes`` wait.
    `shutdown` releases its thread and processes, and so does leaving a ``with`` block. A caller that is
    garbage-collected leaves no process behind either.
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
    ) -> IsolatedTestResult[Any]:
        """Call *function* with a `TestInstance` and *args* in a process of its own, and wait for the result.

        The function may be anything that dill can pickle: a function of a module, a script or a notebook,
        a lambda, a closure or a bound method. An ``async def`` runs to its end in a fresh event loop.
        *options* apply to this call: an `IsolatedTestOptions` replaces the runner's, a mapping overrides
        some of them.

        If the function raises, crashes or hangs, the result says so. Raises `CarryError` if the function or an
        argument cannot be pickled, `OptionError` for an unusable option, and `RunnerClosed` after `shutdown`.
        """
        return self.submit(function, args, options).result()

    def submit(
        self, function: Callable[..., Any], args: Iterable[Any] = (), options: CallOptions = None
    ) -> Future[IsolatedTestResult[Any]]:
        """Start a call as `run_isolated_test` does, and return its future. Cancelling the future ends its process."""
        return self._open_pool().submit(function, tuple(args), self._options_of_call(options))

    async def run_isolated_test_async(
        self, function: Callable[..., Any], args: Iterable[Any] = (), options: CallOptions = None
    ) -> IsolatedTestResult[Any]:
        """Make a call as `run_isolated_test` does, from asyncio code. Cancelling the task ends the call's process."""
        import asyncio  # imported here, since only this method needs it

        return await asyncio.wrap_future(self.submit(function, args, options))

    def map(
        self,
        function: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        options: CallOptions = None,
        unwrap: bool = False,
    ) -> Iterator[Any]:
        """Start a call for each of the items and return an iterator of results in order, like `Executor.map`.

        With *unwrap* it gives the returned values, and raises what `IsolatedTestResult.unwrap` raises for the first
        call that failed. The iterator raises `concurrent.futures.TimeoutError` (since Python 3.11 the built-in
        `TimeoutError`) if a result is not available *timeout* seconds after the call of this method.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        futures = [self.submit(function, args, options) for args in zip(*iterables, strict=False)]

        def results() -> Iterator[Any]:
            try:
                for future in futures:
                    result = future.result(None if deadline is None else max(0.0, deadline - time.monotonic()))
                    yield result.unwrap() if unwrap else result
            finally:
                for future in futures:
                    future.cancel()

        return results()

    def on_request(self, name: str, handler: Callable[[Any], Any], *, pickled: bool = False) -> None:
        """Let *handler* answer ``ipc.request(name, value)`` from isolated tests and calls.

        The handler receives the value and returns the reply. It may be an ``async def``. It is called in a
        worker thread, with up to eight calls at the same time. With *pickled* it also accepts values that a
        test pickled; beware that unpickling runs whatever code the test put into them.
        """
        self._handlers.register(name, handler, pickled=pickled)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more calls. *wait* waits for the pending calls to end; *cancel_futures* cancels them."""
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
        # after a Ctrl-C the user does not want to wait for running calls
        self.shutdown(cancel_futures=kind is not None and not issubclass(kind, Exception))

    def __reduce__(self) -> Any:
        raise CarryError("a runner's processes and threads belong to this process; make a runner where it is used")

    def _open_pool(self) -> CallPool:
        with self._pool_lock:
            if self._is_shut_down:
                raise RunnerClosed("cannot schedule a function after shutdown; create a new runner.")
            if self._pool is None:
                from isolatedunit.calls.pool import CallPool

                self._pool = CallPool(self.options, self._call_listeners, self._handlers)
            return self._pool

    def _options_of_call(self, given: CallOptions) -> IsolatedTestOptions:
        from isolatedunit.calls.options import IsolatedTestOptions

        if isinstance(given, IsolatedTestOptions):
            return given
        own = IsolatedTestOptions.of(self.options, test_sdk_options=self.test_sdk_options)
        if given is None:
            return own
        if not isinstance(given, Mapping):
            raise OptionError(f"the options of a call must be an IsolatedTestOptions or a mapping, not {given!r}.")
        return own.with_values(given)


def options_from(given: Options | IsolatedTestOptions, base: Options) -> tuple[Options, Any]:
    """Split *given*, which may be options of calls, into the runner's options and the SDK's."""
    if isinstance(given, Options):
        return given, None
    values = {name: getattr(given, name) for name in vars(given) if name in TABLE}
    return replace(base, **values), given.test_sdk_options
