"""An SDK as others write them, small enough to be seen through."""

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


class Silent:
    """A client without any method that could stand for all."""

    def __init__(self) -> None:
        pass
