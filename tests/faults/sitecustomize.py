"""Makes one call to the system fail, in the runner or in the processes that it starts: for ``test_system_faults``.

``FAULT`` in the environment says which: where, module and function, how many calls go well before, how many
fail then, and how, as in ``runner os.posix_spawn 1 1 EAGAIN``.
"""

import errno
import importlib
import os
import sys


def install(where, name, skip, count, how):
    is_runner = "isolatedunit" in sys.orig_argv
    if is_runner != (where == "runner"):
        return
    owner, _, function = name.rpartition(".")
    try:
        owner = importlib.import_module(owner)
    except ImportError:  # a class in a module
        module, _, cls = owner.rpartition(".")
        owner = getattr(importlib.import_module(module), cls)
    real = getattr(owner, function)
    counter = os.open(os.environ["FAULT_COUNTER"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    write, fstat = os.write, os.fstat

    def fails_once_in_a_while(*arguments, **named):
        if sys._getframe(1).f_globals.get("__name__") == "subprocess":
            return real(*arguments, **named)  # what it reads is told by nobody else; it would lose the process
        write(counter, b".")  # all processes count together
        calls = fstat(counter).st_size
        if skip < calls <= skip + count:
            if how == "MemoryError":
                raise MemoryError
            number = getattr(errno, how)
            raise OSError(number, f"{os.strerror(number)} (injected)")
        return real(*arguments, **named)

    setattr(owner, function, fails_once_in_a_while)


if os.environ.get("FAULT"):
    where, name, skip, count, how = os.environ["FAULT"].split()
    install(where, name, int(skip), int(count), how)
