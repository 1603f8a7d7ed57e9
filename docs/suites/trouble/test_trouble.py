import os
import time
import unittest


class Trouble(unittest.TestCase):
    def test_crashes(self):
        os.abort()

    def test_exits(self):
        os._exit(0)

    def test_hangs(self):
        time.sleep(3600)

    def test_passes(self):
        pass
