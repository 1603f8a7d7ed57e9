"""Clients of the shapes that real SDKs have, each of them small; none of their methods may be called."""

from __future__ import annotations

import contextlib
import functools
import socket
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from shaped_types import Chat, Cursor
    from shaped_types import Cursor as RenamedCursor

    Cursors = Cursor | None

T = TypeVar("T", bound="Pipeline")


def refuse() -> Any:
    raise RuntimeError("a method of the real client was called")


class Headers(dict):
    pass


class Response:
    status: int

    def __init__(self) -> None:
        self.body = b""

    def json(self) -> Any:
        refuse()


class Parts:
    """Attributes of which type checkers know more than Python does, and those that only its constructor knows."""

    headers: dict[str, str]
    chat: Chat
    timeout = 60

    def __init__(self, timeout: int = 30) -> None:
        self.headers = Headers(a="b")
        self.timeout = timeout
        self.v1 = Services()
        self.get_raw = functools.partial(self.get, raw=True)

    @functools.cached_property
    def lazy(self) -> Chat:
        refuse()

    @property
    def untyped(self):
        return self.v1

    @property
    def asks_service(self):
        socket.create_connection(("127.0.0.1", 9))

    def get(self, url: str, *, raw: bool = False) -> Response:
        refuse()


class Services:
    """Serves attributes that are declared, and made when they are asked for."""

    customers: Customers

    def __getattr__(self, name: str) -> Any:
        if name != "customers":
            raise AttributeError(name)
        return Customers()


class Customers:
    def create(self, email: str) -> Response:
        refuse()


class Request:
    """A call of any name, and of any name in that, as with XML-RPC."""

    def __getattr__(self, name: str) -> Any:
        return Request()

    def __call__(self, *args: Any) -> Any:
        refuse()


class Dynamic:
    def __getattr__(self, name: str) -> Any:
        return Request()


class Chains:
    """Methods that give objects with methods of their own."""

    def __init__(self, key: str) -> None:
        raise RuntimeError("it cannot be made without a service")

    def cursor(self) -> Cursor | Response:
        refuse()

    def optional(self) -> Cursors:
        refuse()

    def renamed(self) -> RenamedCursor:
        refuse()

    def untyped(self, name):
        """Return a response, of which only the source knows."""
        made = Response()
        return made

    def through_another(self):
        return self.untyped("x")

    def by_factory(self, kind=None):
        if kind is None:
            kind = Response
        return kind()

    def unknown(self):
        return refuse()

    def pipeline(self) -> Pipeline:
        refuse()

    def close(self) -> None:
        refuse()

    def __getitem__(self, key: str) -> Response:
        refuse()

    @contextlib.contextmanager
    def stream(self, url: str) -> Iterator[Response]:
        refuse()
        yield Response()


class Pipeline:
    def set(self, key: str) -> Pipeline:
        return self

    def also(self: T) -> T:
        return self

    def parent(self) -> Pipeline:
        return Pipeline()

    def execute(self) -> list[Any]:
        refuse()


class Commands:
    """Shared by a client and its asynchronous twin, so that its annotations fit both."""

    def get(self, key: str) -> bytes | Awaitable[bytes]:
        return self.send(key)


class Client(Commands):
    def send(self, key: str) -> Any:
        refuse()


class AsyncClient(Commands):
    async def send(self, key: str) -> Any:
        refuse()

    async def rows(self) -> AsyncIterator[int]:
        refuse()
        yield 1

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    @contextlib.asynccontextmanager
    async def stream(self) -> AsyncIterator[Response]:
        refuse()
        yield Response()


class Resource:
    """Makes objects of classes that it makes itself."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def Bucket(self, *args):
        if len(args) != 1:
            raise ValueError("a bucket has one name")
        return type("Bucket", (Resource,), {"upload": lambda self, path: refuse()})(*args)


class Connects:
    def __init__(self) -> None:
        socket.create_connection(("127.0.0.1", 9))
        self.late = 1

    def query(self) -> str:
        refuse()


def make_annotated(region: str) -> Chains:
    refuse()


def make_untyped(region):
    return Chains(region)


def make_dynamic(region: str = "eu"):
    return globals()["Parts"](timeout=5)


def make_connecting():
    return globals()["Connects"]()


async def connect() -> Chains:
    refuse()


async def connect_untyped():
    return refuse()


class Shared:
    def __init__(self, word: str) -> None:
        self.word = word

    def execute(self, prompt: str) -> str:
        refuse()


SHARED = Shared("shared")


made = 0


class MadeOnlyOnce:
    def __init__(self) -> None:
        global made
        made += 1
        self.late = 1

    def untouched(self) -> int:
        refuse()
