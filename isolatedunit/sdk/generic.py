"""The client of tests that name no SDK: it answers every prompt, and its mock records them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from isolatedunit.sdk.adapter import SDKAdapter


class Answer(str):
    """A text that may also be awaited: whether the client that a mock stands for is async is not known."""

    def __await__(self) -> Generator[None, None, str]:
        return str(self)
        yield  # makes this a generator, as ``await`` wants

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (str(self),)


class GenericClient:
    """Stands for the client of any SDK."""

    def execute(self, prompt: Any = None, **more: Any) -> Answer:
        """Answer *prompt*."""
        return Answer(f"mock answer to {prompt!r}")


class UnnamedAdapter(SDKAdapter):
    """The adapter of options that name no SDK; its mocks answer without any ``replies``."""

    client_class = GenericClient

    def default_replies(self) -> dict[str, Any]:
        """Replies of a full mock that the options need not give."""
        return {"execute": self.client_class().execute}
