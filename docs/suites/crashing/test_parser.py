import unittest

import parser


class ParserTest(unittest.TestCase):
    def test_flat(self):
        self.assertEqual(parser.parse("[a,b]"), ["a", "b"])

    def test_nested(self):
        self.assertEqual(parser.parse("[[a],b]"), [["a"], "b"])

    def test_one(self):
        self.assertEqual(parser.parse("[a]"), ["a"])
