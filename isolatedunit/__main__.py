# PYTHON_ARGCOMPLETE_OK, for who completes all commands that say so: see isolatedunit.cli.completion
"""``python -m isolatedunit``, and the command ``isolatedunit``."""

import gc
import os
import sys

from isolatedunit.collection import import_path

if __name__ == "__main__":
    import_path.look_last_in_users_folder()

gc.disable()  # nothing that is imported is garbage, and looking for some took a tenth of a short run
from isolatedunit.cli.main import main  # noqa: E402 - with all that it imports, none of which is the user's

gc.freeze()
gc.enable()

if sys.argv[0].endswith("__main__.py"):
    # as python -m unittest has it: for what tests see, and for messages
    sys.argv[0] = "python -m isolatedunit"


def script() -> int:
    """The command ``isolatedunit``, which imports what ``python -m isolatedunit`` does; gives the exit code."""
    if not getattr(sys.flags, "safe_path", sys.flags.isolated):
        sys.path.insert(0, os.getcwd())
        import_path.look_last_in_users_folder()
    return run()


def run() -> int:
    """Do what the command line asks for; gives the exit code."""
    try:
        return main()
    finally:
        gc.freeze()  # the interpreter looks for garbage as it ends, which would take longer than many a test


if __name__ == "__main__":
    sys.exit(run())
