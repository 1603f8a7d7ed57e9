"""The import path: without these tests, a project's module could be taken for one that we need."""

from __future__ import annotations

import os
import sys
import unittest
from unittest import mock

from isolatedunit.collection import import_path


class PathTest(unittest.TestCase):
    def test_the_users_folder_is_last_here_and_first_in_children(self) -> None:
        here = os.getcwd()
        for first in (here, ""):
            with (
                mock.patch.object(sys, "path", [first, "/a", here, "/b"]),
                mock.patch.object(import_path, "_users", None),
            ):
                import_path.look_last_in_users_folder()
                self.assertEqual(sys.path, ["/a", here, "/b", first])
                self.assertEqual(import_path.path_of_children(), (here, "/a", here, "/b"))

    def test_another_folder_stays_where_it_is(self) -> None:
        with mock.patch.object(sys, "path", ["/a", "/b"]), mock.patch.object(import_path, "_users", None):
            import_path.look_last_in_users_folder()
            self.assertEqual((sys.path, import_path.path_of_children()), (["/a", "/b"], ("/a", "/b")))
