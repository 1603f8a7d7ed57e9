"""Finds out in which of unittest's phases a test is, from its thread's stack, so that it costs the test nothing."""

from __future__ import annotations

import os
import sys
import unittest

from isolatedunit.model.phases import PHASES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_directory = os.path.dirname(unittest.__file__)


def phase_of(thread: int) -> str:
    """The key of the phase that this thread is in; the innermost if a test runs tests, empty if there is none."""
    frame: FrameType | None = sys._current_frames().get(thread)
    while frame is not None:
        if frame.f_code.co_name in PHASES and frame.f_code.co_filename.startswith(_directory):
            return frame.f_code.co_name
        frame = frame.f_back
    return ""
