"""Finds the code of an executor by its name. A new one is a folder here, and a line in the table."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from isolatedunit.config.options import Options
from isolatedunit.errors import OptionError
from isolatedunit.executors.contract import Cluster

CLUSTERS = {"dask": ("isolatedunit.executors.dask.cluster:DaskCluster", "distributed")}
"""The class of each executor's cluster, and the package that it needs, which the extra of the same name brings."""


def open_cluster(options: Options, run: str, wake: Callable[[], None]) -> Cluster:
    """The cluster that the options name; raises `OptionError` where its package is missing.

    It calls *wake*, from any thread, when it has something to report.
    """
    where, package = CLUSTERS[options.executor]
    module, _, name = where.partition(":")
    try:
        make = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as exception:
        raise OptionError(
            f"--executor {options.executor} needs the package {package} ({exception}); install it with: "
            f"pip install 'isolatedunit[{options.executor}]'."
        ) from None
    return cast("Cluster", make(options.scheduler, run, wake))
