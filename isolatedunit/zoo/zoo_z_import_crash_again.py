"""A module whose import goes well while tests are listed, and ends the process after that."""

import os
import unittest

from expecting import expect

MARK = os.path.join(os.environ["ZOO_SCRATCH"], "imported-once")

if os.path.exists(MARK):
    os.abort()
open(MARK, "w").close()


class ImportedTwice(unittest.TestCase):
    @expect("error", "crash")
    def test_it(self):
        pass
