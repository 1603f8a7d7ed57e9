"""Makes `IsolatedTestRunner` an executor of isolated calls.

The modules that calls need are imported with the first call, since a run of tests makes none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from isolatedunit.backends.registry import make_prestart
from isolatedunit.calls.methods import CallMethods
from isolatedunit.calls.request_handlers import Handlers
from isolatedunit.config.consequences import count_jobs
from isolatedunit.config.milliseconds import refuse_milliseconds
from isolatedunit.config.options import TABLE, Options
from isolatedunit.engine.scheduling.latency import LatencyPolicy
from isolatedunit.errors import CarryError, IsolatedUnitError, OptionError, RunnerClosed
from isolatedunit.model.events import Listener

if TYPE_CHECKING:
    from typing_extensions import Self

    from isolatedunit.backends.contract import Prestarted
    from isolatedunit.calls.options import IsolatedTestOptions
    from isolatedunit.calls.pool import CallPool
    from isolatedunit.calls.signatures import Opts
    from isolatedunit.sdk.option_values import SDKOptionValues
    from isolatedunit.sdk.options import TestSDKOptions


class IsolatedCaller(CallMethods):
    """Calls functions, each in a process of its own. Several threads may use it at once.

    As with an executor of `concurrent.futures`, calls beyond ``max_concurrent_processes`` wait.
    `shutdown` releases its thread and processes, and so does leaving a ``with`` block. A caller that is
    garbage-collected leaves no process behind either.

    Before any call its processes do what *preload* names (modules to import, perhaps with ``:`` and a function), and
    call *initializer* with *initargs*: with forkserver that happens in the templates that they are forked from.
    """

    options: Options

    def __init__(
        self,
        listeners: Iterable[Listener],
        write_line: Callable[[str], object],
        test_sdk_options: TestSDKOptions | SDKOptionValues | None = None,
        preload: Sequence[str] = (),
        initializer: Callable[..., Any] | None = None,
        initargs: Sequence[Any] = (),
    ) -> None:
        where = type(self).__name__
        if isinstance(preload, str) or not all(isinstance(name, str) for name in preload):
            raise OptionError(f"{where}: preload: invalid value {preload!r}; expected a list of names of modules.")
        if initializer is not None and not callable(initializer):
            raise OptionError(f"{where}: initializer: invalid value {initializer!r}; expected a function.")
        if test_sdk_options is not None:
            from isolatedunit.sdk.options import TestSDKOptions  # imported here, since few users need the SDK's modules

            test_sdk_options = TestSDKOptions.of(test_sdk_options, f"{where}: test_sdk_options")
        self.test_sdk_options = test_sdk_options
        self._call_listeners = tuple(listeners)
        self._write_line = write_line
        self._prepared_by = tuple(name.partition(":")[0] for name in preload), initializer, tuple(initargs)
        self._handlers = Handlers()
        self._pool: CallPool | None = None
        self._is_shut_down = False
        self._pool_lock = threading.Lock()

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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # after a Ctrl-C the user does not want to wait for running calls
        self.shutdown(cancel_futures=kind is not None and not issubclass(kind, Exception))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        import asyncio  # imported here, since only asyncio code gets here

        await asyncio.to_thread(self.__exit__, kind)

    def __reduce__(self) -> Any:
        raise CarryError("a runner's processes and threads belong to this process; make a runner where it is used")

    def _count_jobs(self) -> int:
        return count_jobs(self.options)

    def _open_pool(self) -> CallPool:
        with self._pool_lock:
            if self._is_shut_down:
                raise RunnerClosed("cannot schedule a function after shutdown; create a new runner.")
            if self._pool is None:
                with ExitStack() as until_taken:
                    prestarted = self._prestart()  # before the imports below, which take as long as it does
                    if prestarted is not None:
                        until_taken.callback(prestarted.close)
                    from isolatedunit.calls.pool import CallPool
                    from isolatedunit.calls.work import Preparation

                    preparation = Preparation(*self._prepared_by)
                    using = self.options, self._call_listeners, self._handlers, preparation, self._write_line
                    self._pool = CallPool(*using, prestarted)
                    until_taken.pop_all()
            return self._pool

    def _prestart(self) -> Prestarted | None:
        """The first interpreter of the calls, which starts now; None if it cannot, which others will report."""
        try:
            policy = LatencyPolicy.of(self.options)
            if policy.prestarts:
                return make_prestart(policy.start_method, self.options.hash_seed, of_calls=True)
        except (OSError, IsolatedUnitError):
            pass
        return None

    def options_of_call(self, given: Opts) -> IsolatedTestOptions:
        """The options of a call for which *given* were given; raises `OptionError`."""
        from isolatedunit.calls.options import OF_A_CALL, IsolatedTestOptions

        if isinstance(given, IsolatedTestOptions):
            given.refuse_other_jobs(self.options.max_concurrent_processes)
            return given
        own = IsolatedTestOptions.of(self.options, test_sdk_options=self.test_sdk_options)
        if given is None:
            return own
        if not isinstance(given, Mapping):
            raise OptionError(f"{OF_A_CALL}: invalid value {given!r:.100}; expected IsolatedTestOptions or a mapping.")
        return own.with_values(given)


def options_from(given: Any, base: Options, where: str) -> tuple[Options, Any]:
    """Split *given*, which may be options of calls or a mapping, into the runner's options and the SDK's."""
    if isinstance(given, Options):
        return given, None
    if isinstance(given, Mapping):
        values = dict(given)
        sdk_options = values.pop("test_sdk_options", None)
        refuse_milliseconds(values, where)
        return base.with_values(values, where), sdk_options
    if not hasattr(given, "test_sdk_options"):
        raise OptionError(f"{where}: options: invalid value {given!r:.100}; expected options or a mapping.")
    values = {name: getattr(given, name) for name in given.__dataclass_fields__ if name in TABLE}
    return replace(base, **values), given.test_sdk_options
