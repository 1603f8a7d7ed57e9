"""The backends by the names of their start methods: the one place that knows them.

A backend's module is imported only when it is opened: most runs need one of them.
"""

from __future__ import annotations

import importlib

from isolatedunit.backends.contract import Backend, Setting

BACKENDS = {
    "forkserver": "isolatedunit.backends.forkserver.backend:ForkServerBackend",
    "spawn": "isolatedunit.backends.spawn.backend:SpawnBackend",
}


def open_backend(name: str, setting: Setting) -> Backend:
    """The backend with this name, which the system can use (see `isolatedunit.config.start_method`)."""
    module, _, cls = BACKENDS[name].partition(":")
    backend: Backend = getattr(importlib.import_module(module), cls)(setting)
    return backend
