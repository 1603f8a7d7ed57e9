"""Reads the data that a page of a run carries."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

EVIL = "</script><img src=x onerror=\"document.title='owned'\"><!--<script>\u2028\x1b[2J\ud800"


class Data(HTMLParser):
    """The data in a page, and its elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.scripts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)

    def handle_data(self, data: str) -> None:
        if self.elements[-1:] == ["script"]:
            self.scripts.append(data)

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.scripts[0])
        return found
