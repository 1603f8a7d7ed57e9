"""With this directory on PYTHONPATH no interpreter finds what only POSIX has, as far as Linux can show that."""

import os
import signal
import sys

MISSING_MODULES = ("resource", "fcntl", "pwd", "grp", "termios")
MISSING_ATTRIBUTES = {
    os: ["fork", "wait4", "killpg", "setsid", "register_at_fork", "pidfd_open", *os.environ.get("ALSO_MISSING", "").split()],
    signal: ["SIGKILL", "SIGALRM"],
}


class Hidden:
    """Refuses to import what is missing."""

    def find_spec(self, name, path=None, target=None):
        if name in MISSING_MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


for name in MISSING_MODULES:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Hidden())
for module, names in MISSING_ATTRIBUTES.items():
    for name in names:
        vars(module).pop(name, None)
