"""Each child is a fork of a template that has imported what its test needs, and has run no test.

Whatever process it is forked from, a child talks to the runner over a Connection of its own, whose other end goes to
the template with the order to fork.
"""

from __future__ import annotations

from collections.abc import Collection

from isolatedunit.backends.contract import Backend, Child, ChildSpec, Setting, SharesImports, TakesOrders
from isolatedunit.backends.forkserver.child import ForkedChild
from isolatedunit.backends.forkserver.fixture_child import ClosingChild, OpeningChild
from isolatedunit.backends.forkserver.template_pool import TemplatePool
from isolatedunit.model.results import ImportsKey
from isolatedunit.model.start_methods import capabilities_of


class TemplateBackend(TakesOrders):
    """Makes children that are forks of a template of *pool*."""

    def __init__(self, pool: TemplatePool) -> None:
        self.capabilities = capabilities_of(pool.start_method)
        self._pool = pool
        self._children: set[ForkedChild] = set()
        self._ordered: dict[str, ForkedChild] = {}

    def spawn(self, spec: ChildSpec) -> ForkedChild:
        """Have a child forked, if possible by a template that has imported its home already; raises `SpawnError`."""
        child = self._ordered.pop(spec.attempt, None)
        if child is not None:
            child.take_over()
        else:
            kind = ClosingChild if spec.ends_scope else OpeningChild if spec.becomes else ForkedChild
            child = kind(self._pool, spec, self._children.discard)
            child.begin()
        self._children.add(child)
        return child

    def order(self, spec: ChildSpec, after: Child) -> bool:
        """Have the template of *after* fork this child by itself, unless either has to do with a fixture process."""
        if type(after) is not ForkedChild or spec.scope or spec.becomes or spec.ends_scope:
            return False
        child = ForkedChild(self._pool, spec, self._children.discard)
        if not child.order_after(after):
            return False
        self._ordered[spec.attempt] = child
        return True

    def withdraw(self, spec: ChildSpec) -> None:
        """Cancel the child that was ordered."""
        child = self._ordered.pop(spec.attempt, None)
        if child is not None:
            child.withdraw()

    def pids_with_successor(self) -> list[int]:
        """The templates that will fork another child by themselves once the one that runs is gone."""
        return self._pool.pids_with_successor()

    def renew_files(self) -> None:
        """Use new output files from now on."""
        self._pool.renew_files()

    def close(self) -> None:
        """End all children, and then the templates."""
        for child in self._ordered.values():
            child.withdraw()
        for child in list(self._children):
            child.kill()
            child.close()
        self._pool.close()


class ForkServerBackend(TemplateBackend, SharesImports):
    """A backend whose templates may begin with what several modules import."""

    def share_imports(self, wanted: Collection[ImportsKey]) -> None:
        """Begin to import *wanted*, each in a template of its own."""
        self._pool.share_imports(wanted)


def open_backend(setting: Setting) -> Backend:
    """As `isolatedunit.backends.registry` has it."""
    return ForkServerBackend(TemplatePool(setting))
