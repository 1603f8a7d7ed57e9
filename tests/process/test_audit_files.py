"""Without these tests an audit could wait for a pipe of the project forever, or write through links to other files."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
import unittest
from pathlib import Path

from isolatedunit.audit.files import LARGEST, ProjectFiles


class ProjectFilesTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root, self.aside, self.outside = (Path(folder.name, name) for name in ("root", "aside", "outside"))
        for path in (self.root, self.aside, self.outside):
            path.mkdir()

    def keep(self) -> ProjectFiles:
        return ProjectFiles(str(self.root), str(self.aside))

    @unittest.skipUnless(hasattr(os, "mkfifo"), "needs named pipes")
    def test_pipes_are_not_opened(self) -> None:
        os.mkfifo(self.root / "pipe")
        self.assertFalse(self.keep().restore())

    def test_a_link_in_the_place_of_a_file_is_not_written_through(self) -> None:
        file, other = self.root / "file", self.outside / "other"
        file.write_text("mine")
        other.write_text("of another")
        files = self.keep()
        file.unlink()
        file.symlink_to(other)
        self.assertTrue(files.restore())
        self.assertEqual(other.read_text(), "of another")
        self.assertFalse(file.is_symlink())
        self.assertEqual(file.read_text(), "mine")

    def test_a_link_in_the_place_of_a_folder_is_not_written_through(self) -> None:
        folder = self.root / "folder"
        folder.mkdir()
        (folder / "file").write_text("mine")
        files = self.keep()
        (folder / "file").unlink()
        folder.rmdir()
        folder.symlink_to(self.outside)
        files.restore()
        self.assertEqual(list(self.outside.iterdir()), [])
        self.assertFalse(folder.is_symlink())
        self.assertEqual((folder / "file").read_text(), "mine")

    def test_a_link_leads_where_it_led(self) -> None:
        for name in ("first", "second"):
            (self.root / name).write_text(name)
        link = self.root / "link"
        link.symlink_to("first")
        files = self.keep()
        link.unlink()
        link.symlink_to("second")
        files.restore()
        self.assertEqual(os.readlink(link), "first")
        self.assertEqual((self.root / "second").read_text(), "second")
        self.assertFalse(files.is_changed())

    def test_a_folder_in_the_place_of_a_file_goes(self) -> None:
        file = self.root / "file"
        file.write_text("mine")
        files = self.keep()
        file.unlink()
        file.mkdir()
        (file / "new").write_text("")
        files.restore()
        self.assertEqual(file.read_text(), "mine")

    def test_it_is_told_what_was_not_put_back_and_why(self) -> None:
        large, small = self.root / "large", self.root / "small"
        with large.open("wb") as file:
            file.truncate(LARGEST + 1)
        small.write_text("mine")
        files = self.keep()
        self.assertEqual(files.describe(), [])
        for path in (large, small, self.root / "new"):
            path.write_text("of a test")
        files.restore()
        self.assertEqual((large.read_text(), small.read_text()), ("of a test", "mine"))
        put_back, left = files.describe()
        self.assertEqual(put_back, "tests wrote to the project: new, small; it was put back")
        self.assertTrue(
            left.startswith("tests wrote to the project, and it was not put back: large: it could not"), left
        )

    @unittest.skipUnless(shutil.which("git"), "needs git")
    def test_what_git_tracks_is_told_to_be_left_alone(self) -> None:
        file = self.root / "tracked"
        file.write_text("mine")
        for command in (["init", "-q"], ["add", "tracked"]):
            subprocess.run(["git", "-C", str(self.root), *command], check=True)
        files = self.keep()
        file.write_text("of a test")
        files.restore()
        self.assertEqual(file.read_text(), "of a test")
        (left,) = files.describe()
        self.assertIn("not put back: tracked: git tracks it; --in-place puts it back, too", left)

    def test_the_mode_of_a_file_is_put_back(self) -> None:
        file = self.root / "file"
        file.write_text("mine")
        file.chmod(0o600)
        files = self.keep()
        file.chmod(0o644)
        files.restore()
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
        self.assertFalse(files.is_changed())
