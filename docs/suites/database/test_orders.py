import os
import sqlite3
import unittest

PATH = "shop.sqlite3"


class OrdersTest(unittest.TestCase):
    def setUp(self):
        self.connection = sqlite3.connect(PATH)
        self.connection.execute("CREATE TABLE orders (name TEXT)")
        self.addCleanup(os.remove, PATH)
        self.addCleanup(self.connection.close)

    def names(self):
        return [name for (name,) in self.connection.execute("SELECT name FROM orders")]

    def test_empty(self):
        self.assertEqual(self.names(), [])

    def test_one(self):
        self.connection.execute("INSERT INTO orders VALUES ('tea')")
        self.assertEqual(self.names(), ["tea"])

    def test_two(self):
        self.connection.executemany("INSERT INTO orders VALUES (?)", [("tea",), ("cake",)])
        self.assertEqual(self.names(), ["tea", "cake"])
