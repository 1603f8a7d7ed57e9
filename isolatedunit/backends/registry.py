"""Finds the code of a start method: the one place above `isolatedunit.backends` that need not know which there are.

``isolatedunit.model.start_methods`` lists them. The folder of each, which has its name, holds a module ``backend`` with
a function ``open_backend(setting)``, and, if its capabilities say that it prestarts, a module ``prestart`` with
``make_prestart(hash_seed)``. Each is imported only when it is used: most runs need one of them.
"""

from __future__ import annotations

import importlib
from typing import Any

from isolatedunit.backends.contract import Backend, Prestarted, Setting
from isolatedunit.config.options import Options
from isolatedunit.config.start_method import usable_start_method
from isolatedunit.model.start_methods import capabilities_of


def open_backend(start_method: str, setting: Setting) -> Backend:
    """The backend for a start method that this system can use (see `isolatedunit.config.start_method`)."""
    backend: Backend = _import_from(start_method, "backend").open_backend(setting)
    return backend


def make_prestart(options: Options) -> Prestarted | None:
    """The first interpreter of a run with these options, started now; None where it would save nothing.

    It has no way to show output as it is written, so there is none without ``capture``. Raises `BackendUnavailable`.
    """
    start_method = usable_start_method(options.start_method)
    if not (options.capture and capabilities_of(start_method).prestarts):
        return None
    prestarted: Prestarted | None = _import_from(start_method, "prestart").make_prestart(options.hash_seed)
    return prestarted


def _import_from(start_method: str, module: str) -> Any:
    return importlib.import_module(f"isolatedunit.backends.{start_method}.{module}")
