"""Without these tests a new backend does not fit in, or one announces what it does not have."""

from __future__ import annotations

import os
import unittest
from dataclasses import replace
from typing import Any
from unittest import mock

from isolatedunit.backends import contract
from isolatedunit.backends.contract import Backend, ChildSpec, Setting
from isolatedunit.backends.namespaces.lane_pool import LanePool
from isolatedunit.backends.registry import open_backend
from isolatedunit.config.consequences import with_consequences
from isolatedunit.config.options import Options
from isolatedunit.config.start_method import proven_start_methods, sandboxes, usable_start_method
from isolatedunit.errors import BackendUnavailable, OptionError, SpawnError
from isolatedunit.model import start_methods
from isolatedunit.model.start_methods import Capabilities, StartMethod, capabilities_of
from isolatedunit.protocol.messages import Work
from tests.support.attempts import SETTINGS
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

PROTOCOLS = {
    "takes_orders": contract.TakesOrders,
    "prespawns": contract.Prespawns,
    "shares_imports": contract.SharesImports,
}
"""What the capabilities announce that are protocols."""


class CapabilitiesTest(ProjectTestCase):
    """What a backend announces is what it has."""

    def test_each_has_what_it_announces_and_nothing_else(self) -> None:
        for name in (*START_METHODS, *(sandboxes() if os.name == "posix" else ())):
            backend: Any = open_backend(
                name, Setting("run", self.directory, 1, True, (), ("test",), self.directory, print)
            )
            self.addCleanup(backend.close)
            self.assertEqual(backend.capabilities, capabilities_of(name))
            own = {one for one in dir(Backend) if not one.startswith("_")}
            for capability, protocol in PROTOCOLS.items():
                with self.subTest(name, capability=capability):
                    announced = getattr(backend.capabilities, capability)
                    methods = {one for one in vars(protocol) if not one.startswith("_")} - own
                    self.assertTrue(methods)
                    self.assertEqual({one for one in methods if hasattr(backend, one)}, methods if announced else set())
                    self.assertEqual(getattr(contract, capability)(backend), announced)

    def test_a_sandbox_can_be_combined_with_some_start_methods_only(self) -> None:
        for name in sandboxes():
            with self.assertRaisesRegex(BackendUnavailable, f"^--sandbox {name}: it cannot be combined with .*'spawn'"):
                usable_start_method("spawn", name)
            self.assertEqual(usable_start_method("spawn", "auto"), "spawn")
            self.assertNotIn(name, proven_start_methods())
        with self.assertRaisesRegex(OptionError, "^--sandbox-network private: this needs a sandbox"):
            with_consequences(Options(sandbox_network="private"))
        for options in (Options(), Options(container="debian:13"), Options(sandbox="auto", container="debian:13")):
            with self.assertRaisesRegex(OptionError, "^--sandbox-writable built: this needs a sandbox of namespaces"):
                with_consequences(replace(options, sandbox_writable=("built",)))

    def test_nothing_is_known_of_what_only_a_report_names(self) -> None:
        self.assertEqual(capabilities_of("teleport"), Capabilities())

    def test_a_new_one_is_an_entry_in_the_table(self) -> None:
        new = {"usual": StartMethod(), "other": StartMethod(needs=("no_such_function",), requirement="a wish")}
        auto, proven = usable_start_method("auto"), proven_start_methods()
        with mock.patch.dict(start_methods.START_METHODS, new):
            self.assertEqual(usable_start_method("usual"), "usual")
            self.assertEqual(usable_start_method("auto"), auto)
            self.assertEqual(proven_start_methods(), (*proven, "usual"))
            with self.assertRaisesRegex(BackendUnavailable, "'other' needs a wish; use 'spawn'"):
                usable_start_method("other")


@unittest.skipUnless(os.name == "posix", "there are no lanes there")
class LanesTest(ProjectTestCase):
    """What a lane sees of directories that are its own otherwise: the way to what its tests need, and nothing else."""

    def setUp(self) -> None:
        super().setUp()
        self.own = os.path.join(self.directory, "own")
        for name in ("project/src", "project/tests", "site", "other", "linked/inside"):
            os.makedirs(os.path.join(self.own, name))
        os.symlink(os.path.join(self.own, "linked"), os.path.join(self.own, "link"))
        for patched in (
            mock.patch("isolatedunit.backends.namespaces.lane_pool.OWN_DIRECTORIES", (self.own, "/no/such/directory")),
            mock.patch.dict(os.environ, TMPDIR=os.path.join(self.own, "other")),
        ):
            patched.start()
            self.addCleanup(patched.stop)

    def pool(self, directory: str, *sys_path: str) -> LanePool:
        paths = tuple(os.path.join(self.own, one) for one in sys_path)
        pool = LanePool(Setting("run", self.directory, 1, True, paths, ("test",), directory, print))
        self.addCleanup(pool.close)
        return pool

    def spec(self, *path: str) -> ChildSpec:
        return ChildSpec(
            "run/0#1", Work(settings=SETTINGS), home={"module": "test_x", "path": [os.path.join(self.own, *path)]}
        )

    def test_what_stays_visible(self) -> None:
        pool = self.pool(os.path.join(self.own, "project", "src"), "site", "link/inside", "missing")
        order = pool.order_for(self.spec("project", "tests"))
        other = os.path.join(self.own, "other")
        self.assertEqual(order.private, {self.own: ["link", "linked", "project", "site"], other: []})
        self.assertEqual(order.lane, os.path.join(self.directory, "lane-1"))

    def test_a_lane_is_used_again_by_who_sees_enough_in_it(self) -> None:
        pool = self.pool(os.path.join(self.own, "project"))
        one, other = self.spec("project", "tests"), self.spec("linked")
        self.assertEqual(pool.key_of(one, None), pool.key_of(self.spec("project", "src"), None))
        self.assertNotEqual(pool.key_of(one, None), pool.key_of(other, None))
        self.assertEqual(pool.order_for(other).private[self.own], ["linked", "project"])

    def test_all_of_a_private_directory_cannot_be_visible(self) -> None:
        with self.assertRaisesRegex(BackendUnavailable, f"{self.own} is to be each test's own"):
            self.pool(self.own)
        with self.assertRaisesRegex(SpawnError, f"its module is in {self.own}"):
            self.pool(self.directory).order_for(self.spec())


if __name__ == "__main__":
    unittest.main()
