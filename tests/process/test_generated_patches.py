"""Without these tests a function that the child's machinery calls can be one that a test has replaced.

Every `STRIDE`-th function that this machinery names is tried in forks, and one of some modules in every other way to
run tests. ``.ci/beyond`` has each tried that is named, and ``tests/soak/patches.py`` every function there is.
"""

from __future__ import annotations

import shutil
import tempfile
import unittest

from isolatedunit.child.sealing import SEALED
from tests.support.beyond import BEYOND
from tests.support.generated_patches import (
    MODULES,
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

STRIDE = 1 if BEYOND else 4

FEW = ("builtins", "os", "time", "threading", "traceback", "unittest")
"""The modules whose first functions are replaced where the process, not the function, makes the difference."""


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
        more = first_targets(MODULES) if BEYOND else []
        self.compare(list(dict.fromkeys([*targets[::STRIDE], *more])), "-j", "2")

    def test_fresh_interpreters(self) -> None:
        self.compare(first_targets(FEW), "-j", "2", "--start-method", "spawn")

    def test_a_process_for_each_class(self) -> None:
        self.compare(first_targets(FEW), "-j", "2", "--isolation", "class", before=True)

    def test_at_import(self) -> None:
        few = first_targets(FEW if BEYOND else FEW[:3])
        self.compare([*few, Target("weakref", "finalize")], "-j", "2", at_import=True)


if __name__ == "__main__":
    unittest.main()
