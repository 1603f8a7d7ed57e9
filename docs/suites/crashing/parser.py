"""Stands for a C extension that crashes on nested input."""

import ctypes


def parse(text):
    if text.startswith("[["):
        ctypes.string_at(0)  # reads memory that it does not own
    return text.strip("[]").split(",")
