import os
import shutil
import sqlite3
import tempfile
import unittest

from isolatedunit import isolated


@isolated(fork_after="fixtures")
class StockTest(unittest.TestCase):
    """The database is filled once. Each test has its own copy and does not wait for others."""

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        cls.filled = os.path.join(cls.directory, "filled.sqlite3")
        with sqlite3.connect(cls.filled) as connection:
            connection.execute("CREATE TABLE stock (name TEXT, pieces INTEGER)")
            connection.executemany("INSERT INTO stock VALUES (?, ?)", [("tea", 3), ("cake", 1)])
        connection.close()

    def setUp(self):
        own = shutil.copy(self.filled, os.path.join(self.directory, self.id()))
        self.connection = sqlite3.connect(own)  # after the fork: a connection must not be shared
        self.addCleanup(self.connection.close)

    def pieces(self):
        return dict(self.connection.execute("SELECT name, pieces FROM stock"))

    def test_sell(self):
        self.connection.execute("UPDATE stock SET pieces = pieces - 1 WHERE name = 'tea'")
        self.assertEqual(self.pieces(), {"tea": 2, "cake": 1})

    def test_sell_out(self):
        self.connection.execute("DELETE FROM stock")
        self.assertEqual(self.pieces(), {})

    def test_untouched(self):
        self.assertEqual(self.pieces(), {"tea": 3, "cake": 1})
