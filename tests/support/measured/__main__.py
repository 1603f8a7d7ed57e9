"""Adds what `sitecustomize` noted in a folder to coverage.py's data: ``python -m tests.support.measured FOLDER``."""

from __future__ import annotations

import json
import os
import sys

from coverage import CoverageData


def main(directory: str) -> None:
    """Add the lines of all files in *directory* to those in ``.coverage``."""
    lines: dict[str, set[int]] = {}
    for entry in os.scandir(directory):
        with open(entry.path, encoding="utf-8") as file:
            for name, found in json.load(file).items():
                if f"{os.sep}zoo{os.sep}" not in name:
                    lines.setdefault(name, set()).update(found)
    data = CoverageData()
    data.read()
    data.add_lines(lines)
    data.write()


if __name__ == "__main__":
    main(sys.argv[1])
