"""What `shaped_sdk` imports for type checkers only."""

from __future__ import annotations


class Completions:
    def create(self, model: str) -> str:
        raise RuntimeError("network")


class Chat:
    completions: Completions


class Cursor:
    def __init__(self) -> None:
        self.rowcount = -1

    def fetchall(self) -> list[tuple[int, ...]]:
        raise RuntimeError("network")

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        pass
