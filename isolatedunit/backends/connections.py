"""Both ends of a Connection to a process that is about to be made."""

from __future__ import annotations

from typing import Any

import multiprocess

from isolatedunit.protocol.channel import Channel


def open_channel() -> tuple[Channel, Any]:
    """The runner's end, as a channel, and the end to pass on, as a Connection of multiprocess; raises `OSError`.

    The channel has to exist before anybody may write to the other end: it asks the kernel to say who writes, and the
    kernel says that only of what is written afterwards.
    """
    ours, theirs = multiprocess.Pipe()
    return Channel(ours), theirs
