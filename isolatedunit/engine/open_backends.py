"""The backends of a run, each opened when the first child needs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from isolatedunit.backends.contract import Backend, OpenBackend, Setting, prespawns, shares_imports, takes_orders
from isolatedunit.config.start_method import usable_start_method
from isolatedunit.engine.prespawn import Prespawner, prespawner_for
from isolatedunit.engine.scheduling.latency import LatencyPolicy
from isolatedunit.errors import BackendUnavailable, SpawnError
from isolatedunit.model.results import ImportsKey


class OpenBackends:
    """The backends that a run has opened, by their start methods; `start_method` is that of most of its tests.

    *make_setting* is called when a backend is opened, since the program may have changed its directory by then.
    *slots* is the most children that run at once.
    """

    def __init__(
        self, open_backend: OpenBackend, make_setting: Callable[[], Setting], policy: LatencyPolicy, slots: int
    ) -> None:
        self.start_method = policy.start_method
        self._policy = policy
        self._open_backend = open_backend
        self._make_setting = make_setting
        self._slots = slots
        self._backends: dict[str, Backend] = {}
        self._usable: dict[str, str] = {}
        self._prespawner: Prespawner | None = None

    def get(self, start_method: str) -> Backend:
        """The backend of this start method, which may be ``auto``; raises `BackendUnavailable`.

        Raises `SpawnError` for one that only some tests want, and that cannot be used.
        """
        name = self._usable.get(start_method)
        if name is None:
            try:
                name = self._usable[start_method] = usable_start_method(start_method, self._policy.options.sandbox)
            except BackendUnavailable as exception:
                raise SpawnError(str(exception), lasting=True) from exception
        if name not in self._backends:
            self._backends[name] = self._open_backend(name, self._make_setting())
        return self._backends[name]

    @property
    def prespawner(self) -> Prespawner | None:
        """What starts processes ahead; None if the policy is against it, or no child has needed the backend yet."""
        backend = self._backends.get(self.start_method)
        if self._prespawner is None and self._policy.prespawns and backend is not None:
            assert prespawns(backend)
            self._prespawner = prespawner_for(backend, self._slots)
        return self._prespawner

    def share_imports(self, wanted: Sequence[ImportsKey]) -> None:
        """Begin to import what several modules begin with, once for all of them, as the policy allows."""
        backend = self.get(self.start_method)
        assert shares_imports(backend)
        backend.share_imports(wanted)

    def pids_with_successor(self) -> list[int]:
        """The processes that will begin an ordered child by themselves."""
        ordering = [backend for backend in self._backends.values() if takes_orders(backend)]
        return [process_id for backend in ordering for process_id in backend.pids_with_successor()]

    def renew_files(self) -> None:
        """Use new output files from now on: the run's directory was removed, and has been made again."""
        for backend in self._backends.values():
            backend.renew_files()

    def close(self) -> None:
        """End every process of every backend."""
        for backend in self._backends.values():
            backend.close()
        self._backends.clear()
