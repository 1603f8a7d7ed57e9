"""A module that leaves a thread running when it is imported: nothing can be forked from that."""

import threading
import time
import unittest

from expecting import expect

threading.Thread(target=time.sleep, args=(1000,), daemon=True, name="left by the import").start()


class BesideAThread(unittest.TestCase):
    @expect("passed")
    def test_it(self):
        self.assertEqual(threading.active_count(), 2)

    @expect("passed")
    def test_another(self):
        self.assertEqual(threading.active_count(), 2)
