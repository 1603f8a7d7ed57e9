"""Finds the code of a start method: the one place above `isolatedunit.backends` that need not know which there are.

``isolatedunit.model.start_methods`` lists them. The folder of each, which has its name, holds a module ``backend`` with
a function ``open_backend(setting)``, and, if its capabilities say that it prestarts, a module ``prestart`` with
``make_prestart(hash_seed, of_calls=False)``. Each is imported only when it is used: most runs need one of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from isolatedunit.backends.contract import Backend, Prestarted, Setting
from isolatedunit.config.start_method import usable_start_method
from isolatedunit.model.start_methods import method_that_forks_here

if TYPE_CHECKING:
    from isolatedunit.collection.addresses import Inherited


def open_backend(start_method: str, setting: Setting) -> Backend:
    """The backend for a start method that this system can use (see `isolatedunit.config.start_method`)."""
    backend: Backend = _import_from(start_method, "backend").open_backend(setting)
    return backend


def make_prestart(start_method: str, hash_seed: int | None, *, of_calls: bool = False) -> Prestarted | None:
    """The first interpreter of a run whose start method can prestart one, started now; None if this system cannot.

    Its hash seed is *hash_seed*. It gets ready for tests, or for a run *of_calls*.
    """
    module = _import_from(start_method, "prestart")
    prestarted: Prestarted | None = module.make_prestart(hash_seed, of_calls=of_calls)
    return prestarted


def fork_here(
    tests: Sequence[Inherited],
    begin: Callable[[], object] | None = None,
    prepare_all: Callable[[], object] | None = None,
    packages: Sequence[str] = (),
) -> Prestarted:
    """A fork of this process as it is now, to fork *tests* from; raises `BackendUnavailable`.

    In the fork *prepare_all* is called once, and in each test's process *begin* is called first. *packages* are those
    that run the tests here, beside ours.
    """
    forked: Prestarted = _import_from(usable_start_method(method_that_forks_here()), "fork_here").ForkHere(
        tests, begin, prepare_all, packages
    )
    return forked


def _import_from(start_method: str, module: str) -> Any:
    return importlib.import_module(f"isolatedunit.backends.{start_method}.{module}")
