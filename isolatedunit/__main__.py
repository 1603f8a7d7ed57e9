"""``python -m isolatedunit``."""

import sys

from isolatedunit.main import main

if sys.argv[0].endswith("__main__.py"):
    # as python -m unittest has it: for what tests see, and for messages
    sys.argv[0] = "python -m isolatedunit"

if __name__ == "__main__":
    sys.exit(main())
