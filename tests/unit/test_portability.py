"""What POSIX lacks elsewhere: without this test, a module could take for granted what Windows does not have."""

from __future__ import annotations

import ast
import os
import unittest

from tests.support.paths import PACKAGE_PARENT


class PortabilityTest(unittest.TestCase):
    def test_what_posix_lacks_elsewhere_is_asked_for_and_not_assumed(self) -> None:
        """Names that Windows has not are used where nothing else is, or after asking for them."""
        only_posix = {"fork", "setpgid", "wait4", "WNOHANG", "SIGSTOP"}
        allowed = {f"child/{name}.py" for name in ("reaper", "template", "orphan_reaper")}
        allowed |= {"backends/forkserver.py", "backends/interpreter.py"}
        package = os.path.join(PACKAGE_PARENT, "isolatedunit")
        for folder, folders, files in os.walk(package):
            folders[:] = [name for name in folders if name != "zoo"]
            for file in files:
                path = os.path.join(folder, file)
                if not file.endswith(".py") or os.path.relpath(path, package).replace(os.sep, "/") in allowed:
                    continue
                with open(path, encoding="utf-8") as source:
                    tree = ast.parse(source.read())
                used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
                self.assertEqual(used & only_posix - {"WNOHANG"}, set(), path)
