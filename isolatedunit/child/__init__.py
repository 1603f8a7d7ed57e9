"""What runs on the other side of the Connection, and nowhere else.

Everything here imports as little as possible: a test starts sooner, and finds an interpreter as pristine as under plain
unittest. `sealing` keeps all of it out of the tests' reach.
"""

import sys
import unittest  # noqa: F401 - it brings all that plain unittest brings

PLAIN = frozenset(sys.modules)
"""The modules that would be here under plain unittest, too."""
