"""An SDK as others write them, small enough to be seen through."""

import functools
import os


class Files:
    def upload(self, name: str, data: bytes) -> str:
        return f"{name}:{len(data)}"


class Client:
    """A client; it remembers whether it was closed."""

    files = Files()

    def __init__(self, base_url: str = "https://sdk.example", retries: int = 3) -> None:
        self.base_url = base_url
        self.retries = retries
        self.is_closed = False
        self.token = os.environ.get("FAKE_TOKEN")

    def execute(self, prompt: str, temperature: float = 0.0) -> str:
        return f"{self.base_url}: {prompt} ({temperature})"

    async def execute_later(self, prompt: str) -> str:
        return f"later: {prompt}"

    def close(self) -> None:
        self.is_closed = True


def make_client(retries: int = 3) -> Client:
    return Client(retries=retries)


class Completions:
    def create(self, model: str, prompt: str) -> str:
        return f"{model}: {prompt}"


class Chat:
    @functools.cached_property
    def completions(self) -> Completions:
        return Completions()


class Deep:
    """A client with its methods behind properties, to be closed by awaiting, and used in a ``with``."""

    closed_by = ""

    @property
    def chat(self) -> Chat:
        return Chat()

    def __enter__(self) -> "Deep":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    async def aclose(self) -> None:
        self.closed_by = "aclose"


class Silent:
    """A client without any method that could stand for all."""

    def __init__(self) -> None:
        pass
