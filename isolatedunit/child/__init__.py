"""What runs on the other side of the Connection, and nowhere else.

Everything here imports as little as it can: a test starts the sooner, and finds an interpreter
that is as pristine as the one it would have had under plain unittest.
"""

import sys
import unittest  # noqa: F401 - it brings all that plain unittest brings

PLAIN = frozenset(sys.modules)
"""The modules that plain unittest would have here, too."""
