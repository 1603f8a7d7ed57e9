"""Makes calls to the system fail, in the runner or in the processes that it starts: for ``test_system_faults``.

``FAULT`` in the environment says which, with ``;`` between them: where, module and function, how many calls go well
before, how many fail then, and how, as in ``runner os.posix_spawn 1 1 EAGAIN``. Of ``0,3`` calls that go well before,
the first fails, and then the fourth. Each fault counts its calls in a file of its own.
"""

import errno
import importlib
import os
import sys

write, fstat = os.write, os.fstat  # before one of them is replaced


def install(where, name, skips, count, how, counter):
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
    counter = os.open(counter, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def fails_once_in_a_while(*arguments, **named):
        if sys._getframe(1).f_globals.get("__name__") == "subprocess":
            return real(*arguments, **named)  # what it reads is told by nobody else; it would lose the process
        write(counter, b".")  # all processes count together
        calls = fstat(counter).st_size
        if any(skip < calls <= skip + count for skip in skips):
            if how == "MemoryError":
                raise MemoryError
            number = getattr(errno, how)
            raise OSError(number, f"{os.strerror(number)} (injected)")
        return real(*arguments, **named)

    setattr(owner, function, fails_once_in_a_while)


for index, fault in enumerate(os.environ.get("FAULT", "").split("; ") if os.environ.get("FAULT") else ()):
    where, name, skips, count, how = fault.split()
    counter = f"{os.environ['FAULT_COUNTER']}-{index}"
    install(where, name, [int(skip) for skip in skips.split(",")], int(count), how, counter)
