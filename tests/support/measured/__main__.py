"""What `sitecustomize` notes its lines in: ``python -m tests.support.measured begin|end FOLDER`` makes and reads it.

At the end the lines are added to coverage.py's data, ``.coverage``.
"""

from __future__ import annotations

import glob
import os
import sys

import isolatedunit

PACKAGE = os.path.dirname(os.path.abspath(isolatedunit.__file__))


def begin(directory: str) -> None:
    """Make room for a byte a line of the package."""
    places, size = {}, 0
    for path in sorted(glob.glob(os.path.join(PACKAGE, "**", "*.py"), recursive=True)):
        if not path.startswith(os.path.join(PACKAGE, "zoo")):
            with open(path, "rb") as file:
                places[path], size = size, size + file.read().count(b"\n") + 2
    with open(os.path.join(directory, "index"), "w", encoding="utf-8") as index:
        index.writelines(f"{place} {path}\n" for path, place in places.items())
    with open(os.path.join(directory, "lines"), "wb") as lines:
        lines.write(bytes(size))


def end(directory: str) -> None:
    """Add the lines that were noted to those that there are, and the files of which no line ran."""
    from coverage import CoverageData

    with open(os.path.join(directory, "index"), encoding="utf-8") as index:
        places = {path: int(place) for place, path in (line.rstrip("\n").split(" ", 1) for line in index)}
    with open(os.path.join(directory, "lines"), "rb") as lines:
        noted = lines.read()
    ends = [*list(places.values())[1:], len(noted)]
    found = {
        path: [line for line in range(1, end - begin) if noted[begin + line]]
        for (path, begin), end in zip(places.items(), ends, strict=True)
    }
    data = CoverageData()
    data.read()
    data.add_lines({path: lines for path, lines in found.items() if lines})
    data.touch_files(found)
    data.write()


if __name__ == "__main__":
    {"begin": begin, "end": end}[sys.argv[1]](sys.argv[2])
