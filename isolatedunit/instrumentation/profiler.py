"""Profiles each process of a run, and combines the profiles at the end of the run.

cProfile, which is part of Python, counts every call and slows each one down a little. pyinstrument samples the
stack every millisecond, which costs less and shows whole stacks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from isolatedunit.errors import OptionError

_SAMPLE_INTERVAL = 0.001


def need_profiler(profiler: str, directory: str) -> None:
    """Raise `OptionError` if the profiler is missing, or *directory* cannot be written to."""
    if profiler == "pyinstrument":
        try:
            import pyinstrument  # noqa: F401
        except ImportError:
            raise OptionError(
                "--profiler pyinstrument needs the package pyinstrument; install it with: "
                "pip install 'isolatedunit[profile]'."
            ) from None
    try:
        os.makedirs(directory, 0o700, exist_ok=True)
    except OSError as exception:
        raise OptionError(f"--profile: {directory!r} cannot be created: {exception.strerror}.") from exception


def begin(profiler: str, path: str) -> Callable[[], None]:
    """Start profiling this thread; returns a function that stops it and writes the profile to *path*."""
    profile: Any
    if profiler == "pyinstrument":
        from pyinstrument import Profiler

        profile = Profiler(interval=_SAMPLE_INTERVAL, async_mode="disabled")
        profile.start()
        return lambda: profile.stop().save(path)
    import cProfile

    profile = cProfile.Profile()
    profile.enable()

    def end() -> None:
        profile.disable()
        profile.dump_stats(path)

    return end


def combine(profiler: str, source: str, target: str) -> str:
    """Combine the profiles in *source* into one in *target*; returns a message for the user."""
    import pstats  # imported here to keep the command's start short

    paths = sorted(entry.path for entry in os.scandir(source))
    if not paths:
        return "isolatedunit: no profile was written: no test finished"
    try:
        if profiler == "pyinstrument":
            return _combine_sampled(paths, target)
        path = os.path.join(target, "profile.pstats")
        _make_private(path)
        pstats.Stats(*paths).dump_stats(path)
    except (OSError, ValueError, TypeError, EOFError) as exception:
        return f"isolatedunit: no profile was written: {exception}"
    return f"Profile: {os.path.relpath(path)}, from {_count(paths)}; view it with 'python -m pstats'"


def _make_private(path: str) -> None:
    """Create the file empty and private. Trap: with a later chmod, others could read it for a moment."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    os.chmod(path, 0o600)


def _count(paths: list[str]) -> str:
    return f"{len(paths)} process{'' if len(paths) == 1 else 'es'}"


def _combine_sampled(paths: list[str], target: str) -> str:
    from pyinstrument.renderers import HTMLRenderer, PstatsRenderer, SpeedscopeRenderer
    from pyinstrument.session import Session

    session = Session.load(paths[0])
    for path in paths[1:]:
        session = Session.combine(session, Session.load(path))
    written = {
        "profile.speedscope.json": SpeedscopeRenderer().render(session),
        "profile.html": HTMLRenderer().render(session),
    }
    for name in (*written, "profile.pstats"):
        _make_private(os.path.join(target, name))
    for name, text in written.items():
        with open(os.path.join(target, name), "w", encoding="utf-8") as file:
            file.write(text)
    with open(os.path.join(target, "profile.pstats"), "wb") as file:
        # pyinstrument returns this format as text, but pstats reads bytes
        file.write(PstatsRenderer().render(session).encode("utf-8", "surrogateescape"))
    shown = os.path.relpath(os.path.join(target, "profile.speedscope.json"))
    return f"Profile: {shown}, also as .html and .pstats, from {_count(paths)}; view it at speedscope.app"
