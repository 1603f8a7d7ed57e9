"""Without these tests a function that the child's machinery calls can be one that a test has replaced.

Each function is tried that this machinery names, and one of every module; ``tests/soak/patches.py`` tries them all.
"""

from __future__ import annotations

import shutil
import tempfile
import unittest

from isolatedunit.child.sealing import SEALED
from tests.support.generated_patches import (
    Target,
    differences,
    first_targets,
    mentioned_targets,
    run_isolated,
    run_plain,
    write_suite,
)
from tests.support.layers import Sources
from tests.support.paths import REPOSITORY
from tests.support.start_methods import START_METHODS


@unittest.skipUnless("forkserver" in START_METHODS, "what plain unittest makes of them is tried in forks")
class GeneratedPatchesTest(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def compare(self, targets: list[Target], *flags: str, before: bool = False, at_import: bool = False) -> None:
        write_suite(self.directory, targets, before=before, at_import=at_import)
        plain = run_plain(self.directory, targets, at_import=at_import)
        self.assertEqual(len(plain), 2 * len(targets))
        ours = run_isolated(self.directory, *flags, at_import=at_import)
        self.assertEqual(differences(plain, ours, at_import=at_import), [])

    def test_what_the_machinery_names(self) -> None:
        sources = Sources.below(REPOSITORY).trees
        targets = mentioned_targets([sources[name] for name in sorted(SEALED)])
        self.assertGreater(len(targets), 100)
        self.compare(targets, "-j", "2")

    def test_fresh_interpreters(self) -> None:
        self.compare(first_targets(), "-j", "2", "--start-method", "spawn")

    def test_a_process_for_each_class(self) -> None:
        self.compare(first_targets(), "-j", "2", "--isolation", "class", before=True)

    def test_at_import(self) -> None:
        self.compare([*first_targets(), Target("weakref", "finalize")], "-j", "2", at_import=True)


if __name__ == "__main__":
    unittest.main()
