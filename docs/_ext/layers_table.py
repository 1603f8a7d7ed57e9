"""The directive ``layers-table``: the floors of the package, from the file that the layer test enforces."""

from __future__ import annotations

import os
import sys

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "layers.toml")


class LayersTable(Directive):
    """Renders the floors as a table, the highest first."""

    def run(self) -> list[nodes.Node]:
        """Read the file and parse the table that it makes."""
        with open(FILE, "rb") as file:
            floors = tomllib.load(file)["floor"]
        lines = [
            ".. list-table::",
            "   :header-rows: 1",
            "   :widths: 10 35 55",
            "",
            "   * - floor",
            "     - rooms",
            "     - what it is",
        ]
        for number, floor in reversed(list(enumerate(floors))):
            rooms = ", ".join(f"``{room}``" for room in sorted(floor["rooms"]))
            lines += [f"   * - {number}", f"     - {rooms}", f"     - {floor['what']}"]
        node = nodes.container()
        self.state.nested_parse(StringList(lines, FILE), self.content_offset, node)
        self.state.document.settings.env.note_dependency(FILE)
        return node.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("layers-table", LayersTable)
    return {"parallel_read_safe": True}
