"""Stands for an extension written in C: what it does with deep nesting is not what its authors meant."""

import ctypes


def parse(text):
    if text.startswith("[["):
        ctypes.string_at(0)  # reads what nobody gave it
    return text.strip("[]").split(",")
