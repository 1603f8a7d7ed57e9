"""The options about the machines that tests run on, a part of `Options`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from isolatedunit.config.converters import Choice, text
from isolatedunit.config.output_options import option


# ``dataclass`` makes the methods once, in `Options`, for all fields together
@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class ExecutorOptions:
    """Where tests run."""

    executor: Literal["local", "dask"] = option(
        "local",
        Choice("local", "dask"),
        "where tests run: on this machine (local), or on the workers of a Dask cluster that is there (dask), which see "
        "the same files at the same paths",
        "--executor",
        section="machines",
    )
    scheduler: str | None = option(
        None,
        text,
        "address of the Dask cluster's scheduler, such as tcp://127.0.0.1:8786; needs --executor dask",
        "--scheduler",
        metavar="ADDRESS",
    )
