"""The directive ``option-table``: every option of isolatedunit, from the table that also makes its command line."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx

from isolatedunit.config.options import ALIASES, PER_TEST, TABLE, expectation


def describe_default(value: Any) -> str:
    """A default as it would be written in a file."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return "(empty)" if value == () else str(value)


def describe_flags(name: str) -> str:
    """How an option is given on the command line."""
    metadata = TABLE[name].metadata
    if "flags_set" in metadata:
        return "; ".join(f"``{', '.join(flags)}`` ({words})" for flags, _, words in metadata["flags_set"])
    metavar = metadata.get("metavar") or "|".join(getattr(metadata["read"], "words", ()))
    if isinstance(TABLE[name].default, bool):
        metavar = ""
    if "flag_alone" in metadata:
        metavar = f"[={metavar}]"
    return f"``{', '.join(metadata['flags'])}{' ' + metavar if metavar else ''}``"


def words_of(name: str) -> str:
    """What the option is for, as one sentence."""
    text = TABLE[name].metadata["help"]
    # the help of an option that is on by default is that of the flag which turns it off
    return f"{'If it is off: ' if TABLE[name].default is True else ''}{text[0].upper()}{text[1:]}."


def describe(name: str) -> Iterator[str]:
    """The option *name*, as lines of reStructuredText."""
    metadata = TABLE[name].metadata
    keys = [name, *(alias for alias, meant in ALIASES.items() if meant == name)]
    yield f".. confval:: {name}"
    yield f"   :type: {expectation(name)}"
    yield f"   :default: {describe_default(TABLE[name].default)}"
    yield ""
    yield f"   {words_of(name)}"
    yield ""
    if metadata["flags"] or "flags_set" in metadata:
        yield f"   | Command line: {describe_flags(name)}"
    yield f"   | Environment: {' or '.join(f'``ISOLATEDUNIT_{key.upper()}``' for key in keys)}"
    if len(keys) > 1:
        yield f"   | File: {' or '.join(f'``{key}``' for key in keys)}"
    if name in PER_TEST:
        yield "   | Also for a class or a method"
    yield ""


def summarize(names: list[str]) -> Iterator[str]:
    """A table of the options, a line each, as lines of reStructuredText."""
    yield ".. list-table::"
    yield "   :widths: 25 75"
    yield ""
    for name in names:
        yield f"   * - :confval:`{name}`"
        yield f"     - {words_of(name)}"
    yield ""


def sections() -> dict[str, list[str]]:
    """The names of the options, in the sections of ``--help``."""
    found: dict[str, list[str]] = {}
    for name in TABLE:
        title = TABLE[name].metadata.get("section")
        if title is not None:
            found[f"{title[0].upper()}{title[1:]}"] = []
        found[next(reversed(found))].append(name)
    return found


class OptionTable(Directive):
    """Every option, in the sections of ``--help``: with ``:summary:`` a line each, and otherwise all of it."""

    option_spec: ClassVar[dict[str, Any]] = {"summary": directives.flag}

    def run(self) -> list[nodes.Node]:
        """The nodes in the directive's place."""
        lines: list[str] = []
        for title, names in sections().items():
            lines += [f".. rubric:: {title}", ""]
            of_each = itertools.chain.from_iterable(map(describe, names))
            lines += summarize(names) if "summary" in self.options else of_each
        container = nodes.container()
        self.state.nested_parse(StringList(lines, source="isolatedunit.config.options"), self.content_offset, container)
        return list(container.children)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("option-table", OptionTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
