"""``python -m isolatedunit``, and the command ``isolatedunit``."""

import os
import sys

from isolatedunit import shadows

if __name__ == "__main__":
    shadows.look_last_in_users_folder()

from isolatedunit.main import main  # with all that it imports, none of which is the user's

if sys.argv[0].endswith("__main__.py"):
    # as python -m unittest has it: for what tests see, and for messages
    sys.argv[0] = "python -m isolatedunit"


def script() -> int:
    """The command ``isolatedunit``, which imports what ``python -m isolatedunit`` does; gives the exit code."""
    if not getattr(sys.flags, "safe_path", sys.flags.isolated):
        sys.path.insert(0, os.getcwd())
        shadows.look_last_in_users_folder()
    return main()


if __name__ == "__main__":
    sys.exit(main())
