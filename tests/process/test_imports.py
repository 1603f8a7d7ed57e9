"""What a run imports: without this test, every run could become slower by a module that few runs need."""

from __future__ import annotations

import os
import unittest

from tests.support.command_line import run_python
from tests.support.optional import can_be_imported
from tests.support.paths import PACKAGE_PARENT
from tests.support.start_methods import START_METHODS


def names_of_modules() -> list[str]:
    """Every module of the package, without the zoo, which is data to it."""
    names = []
    for folder, folders, files in os.walk(os.path.join(PACKAGE_PARENT, "isolatedunit")):
        folders[:] = [name for name in folders if name != "zoo"]
        for file in files:
            if file.endswith(".py") and file != "__main__.py":
                relative = os.path.relpath(os.path.join(folder, file), PACKAGE_PARENT)
                names.append(relative[:-3].replace(os.sep, ".").removesuffix(".__init__"))
    return sorted(filter(can_be_imported, names))


class ImportsTest(unittest.TestCase):
    @unittest.skipUnless("forkserver" in START_METHODS, "some modules are for systems that can fork")
    def test_every_module_can_be_imported_whichever_is_first(self) -> None:
        names = names_of_modules()
        self.assertGreater(len(names), 100)
        program = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint('imported')"
        for order in (names, names[::-1]):
            self.assertEqual(run_python("-c", program, *order).output, "imported\n")

    def test_a_run_imports_little(self) -> None:
        """What few runs need is imported by those: a run of one short test would take noticeably longer."""
        seldom = "asyncio concurrent.futures configparser hashlib platform statistics tomllib uuid "
        seldom += "isolatedunit.calls.options isolatedunit.calls.result isolatedunit.calls.pool isolatedunit.sdk"
        program = "import isolatedunit.cli.main, isolatedunit.backends.forkserver.prestart, isolatedunit.runner, sys; "
        program += f"print(*sorted(set({seldom.split()}) & sys.modules.keys()))"
        self.assertEqual(run_python("-c", program).output.split(), [])
