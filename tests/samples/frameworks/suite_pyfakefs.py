import os
import pathlib
import shutil
import tempfile
import unittest

from pyfakefs import fake_filesystem_unittest
from pyfakefs.fake_filesystem_unittest import patchfs


class FakeTest(fake_filesystem_unittest.TestCase):
    def setUp(self):
        self.setUpPyfakefs()

    def test_is_empty(self):
        self.assertFalse(os.path.exists("/etc/passwd"))

    def test_create(self):
        self.fs.create_file("/a/b", contents="x")
        with open("/a/b") as file:
            self.assertEqual(file.read(), "x")

    def test_pathlib(self):
        pathlib.Path("/c").write_text("y")
        self.assertEqual(pathlib.Path("/c").read_text(), "y")

    def test_shutil(self):
        os.makedirs("/d/e")
        shutil.rmtree("/d")
        self.assertFalse(os.path.exists("/d"))

    def test_temporary(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertTrue(os.path.isdir(folder))

    def test_fails(self):
        self.assertTrue(os.path.exists("/nothing"))

    def test_raises(self):
        open("/nothing")

    def test_removes_everything(self):
        for name in os.listdir("/"):
            shutil.rmtree(f"/{name}", ignore_errors=True)


class FunctionsTest(unittest.TestCase):
    @patchfs
    def test_decorated(self, fs):
        fs.create_file("/x")
        self.assertTrue(os.path.exists("/x"))

    def test_real(self):
        self.assertTrue(os.path.exists(__file__))

    def test_context(self):
        with fake_filesystem_unittest.Patcher() as patcher:
            patcher.fs.create_file("/y")
            self.assertTrue(os.path.exists("/y"))
