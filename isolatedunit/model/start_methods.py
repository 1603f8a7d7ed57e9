"""The start methods, and what each of them can do: plain data, for whoever has to ask before a backend is open.

The table stands here and not beside the backends because options, reporters and the scheduler, which are all below
them, ask it. It knows names only: `isolatedunit.backends.registry` finds the code.
"""

from __future__ import annotations

from typing import Literal, cast

from isolatedunit.model.records import record

StartMethodName = Literal["spawn", "forkserver", "wasm"]
"""The names in `START_METHODS` but for sandboxes, for type checkers: they complain of a start method that is missing
here."""

SandboxName = Literal["namespaces", "containers"]
"""The names in `START_METHODS` that are sandboxes, for type checkers."""


@record(frozen=True)
class Capabilities:
    """What a backend can do beyond starting a process for each test; by default, nothing.

    *has_templates*: a template imports a module once and children are forked from it, when ``fork_after`` says.
    *holds_fixtures*: a process that has set up fixtures can be kept, and tests can be forked from it. *shares_imports*,
    *takes_orders* and *prespawns* announce the protocols of those names in `isolatedunit.backends.contract`.
    *prestarts*: an interpreter can be started before there is a run, while the runner is still being imported.
    *forks_here*: children can be forks of the calling process.
    *own_process_ids*: the ids that children report are those of a namespace, and name other processes elsewhere.
    """

    has_templates: bool = False
    holds_fixtures: bool = False
    shares_imports: bool = False
    takes_orders: bool = False
    prespawns: bool = False
    prestarts: bool = False
    forks_here: bool = False
    own_process_ids: bool = False


@record(frozen=True)
class StartMethod:
    """One value of the option ``start_method``, and what this system must have for it.

    *needs* are functions of `os`, and *requirement* says the same for the user. *default_on* are the platforms, as
    `sys.platform` names them, where ``auto`` chooses it; elsewhere it is used only if it is asked for by name. A start
    method that is the default nowhere is as good as any on every system that has what it needs, unless *modules* says
    which modules it needs, too: such a one is used only if it is asked for by name. *options* are the names of those
    that nobody else has a use for.

    A sandbox is a value of the option ``sandbox`` instead, and *stands_for* the start methods that it can be combined
    with. One that has an *option* of its own is used only where that is given. *probe* names a function
    ``module:name`` that an interpreter of its own calls with an empty directory: it prints what the system refuses, and
    nothing if it refuses nothing.
    """

    capabilities: Capabilities = Capabilities()
    needs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    requirement: str = ""
    options: tuple[str, ...] = ()
    default_on: tuple[str, ...] = ()
    stands_for: tuple[str, ...] = ()
    option: str = ""
    probe: str = ""


START_METHODS: dict[str, StartMethod] = {
    "spawn": StartMethod(Capabilities(prespawns=True)),
    "forkserver": StartMethod(
        Capabilities(
            has_templates=True,
            holds_fixtures=True,
            shares_imports=True,
            takes_orders=True,
            prestarts=True,
            forks_here=True,
        ),
        needs=("fork", "wait4"),
        requirement="a system that can fork",
        default_on=("linux",),
    ),
    "wasm": StartMethod(
        Capabilities(own_process_ids=True),
        needs=("posix_spawn",),
        modules=("wasmtime",),
        requirement="the package wasmtime, which pip install 'isolatedunit[wasm]' brings",
        options=("wasm_python",),
    ),
    # what shares imports would have to be process 1 of a namespace itself, and its end would be that of all lanes in it
    "namespaces": StartMethod(
        Capabilities(has_templates=True, holds_fixtures=True, takes_orders=True, prestarts=True, own_process_ids=True),
        needs=("fork", "wait4", "pidfd_open"),
        requirement="Linux",
        stands_for=("auto", "forkserver"),
        probe="isolatedunit.child.lane:probe",
    ),
    "containers": StartMethod(
        Capabilities(has_templates=True, takes_orders=True, own_process_ids=True),
        needs=("fork", "wait4", "pidfd_open"),
        requirement="Linux",
        stands_for=("auto", "forkserver"),
        option="--container",
    ),
}
"""Every start method. The first one needs nothing of the system: it is what remains where no other can be used.

A new backend is a folder in ``isolatedunit/backends`` with this name, and one entry here.
"""

OWN_OPTIONS = tuple(name for method in START_METHODS.values() for name in method.options)
"""The options that only one start method has a use for."""


def capabilities_of(start_method: str) -> Capabilities:
    """What this start method can do; nothing is known of one that only the report of another version names."""
    known = START_METHODS.get(start_method)
    return Capabilities() if known is None else known.capabilities


def method_that_forks_here() -> StartMethodName:
    """The start method whose children can be forks of the calling process."""
    found = next(name for name, method in START_METHODS.items() if method.capabilities.forks_here)
    return cast("StartMethodName", found)


def stands_alone(name: str) -> bool:
    """Whether this is a sandbox that needs no option but ``sandbox``."""
    return is_sandbox(name) and not START_METHODS[name].option


def is_sandbox(name: str) -> bool:
    """Whether this is a value of the option ``sandbox``, and none of ``start_method``."""
    known = START_METHODS.get(name)
    return known is not None and bool(known.stands_for)
