"""What works for well-known SDKs by the name of the client alone: runs it, and fills in the table of the docs.

``python -m tests.support.sdk_table`` writes the table anew, for the SDKs that are installed here.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from isolatedunit import LocalServer, OptionError, SDKAdapter, TestSDK, TestSDKFactory, TestSDKOptions
from isolatedunit.sdk.adapter import find_adapter
from isolatedunit.sdk.servers import Closing
from tests.support.optional import optional
from tests.support.paths import REPOSITORY

PAGE = os.path.join(REPOSITORY, "docs", "sdk.rst")
LEVELS = ("full_mock", "recorded", "partial_mock", "none")
YES, WITH_ADAPTER, NOT_HTTP = "yes", "adapter", "not HTTP"

_ANSWER = {"role": "assistant", "content": "hi"}
_COMPLETION = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": _ANSWER}],
}
_MESSAGE = {
    "id": "1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
_BUCKETS = '<?xml version="1.0"?><R><Buckets><Bucket><Name>hi</Name></Bucket></Buckets></R>'
_CONTAINERS = (
    '<?xml version="1.0"?><EnumerationResults><Containers><Container><Name>hi</Name><Properties/></Container>'
    "</Containers><NextMarker/></EnumerationResults>"
)


def _chat(sdk: TestSDK, _: str) -> Any:
    return sdk.client.chat.completions.create(model="m", messages=[]).choices[0].message.content


async def _chat_later(sdk: TestSDK, _: str) -> Any:
    async with sdk.client as client:
        return (await client.chat.completions.create(model="m", messages=[])).choices[0].message.content


async def _get_later(sdk: TestSDK, _: str) -> Any:
    async with sdk.client as client:
        return (await client.get("/a")).json()


async def _redis_later(sdk: TestSDK, _: str) -> Any:
    async with sdk.client as client, client.pipeline() as pipeline:
        await pipeline.set("a", "hi").get("a").execute()
        return await client.echo("hi")


def _redis(sdk: TestSDK, _: str) -> Any:
    with sdk.client.pipeline() as pipeline:
        pipeline.set("a", "hi").get("a").execute()
    return sdk.client.echo("hi")


def _select(sdk: TestSDK, _: str) -> Any:
    with sdk.client as connection, connection.cursor() as cursor:
        cursor.execute("select 'hi'")
        return cursor.fetchone()[0]


def _has(**attributes: Any) -> Any:
    """An object with these attributes, of which those with several names are nested."""
    return SimpleNamespace(**attributes)


@dataclass(frozen=True)
class Row:
    """An SDK, and a request of it that gives ``hi``.

    *packages* are what it needs, *use* makes the request. *mocked* are the replies of a full mock, *served* those of a
    local server; where there are none, *adapter* names the class in ``examples`` that starts one.
    *wrong* is a use that the client refuses.
    """

    name: str
    sdk: str
    packages: tuple[str, ...]
    use: Callable[[TestSDK, str], Any]
    wrong: Callable[[Any], Any]
    mocked: Mapping[str, Any]
    served: Mapping[str, Any] = field(default_factory=dict)
    adapter: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [name for name in self.packages if optional(name) is None]


_CHOICE = _has(choices=[_has(message=_has(content="hi"))])
_SERVED_CHAT = {"POST /chat/completions": _COMPLETION}
_REDIS = ("redis", "fakeredis", "vcr")

ROWS = (
    Row(
        "openai",
        "openai:OpenAI",
        ("openai", "vcr"),
        _chat,
        lambda client: client.chat.completions.create(mesages=[]),
        {"chat.completions.create": _CHOICE},
        _SERVED_CHAT,
    ),
    Row(
        "openai, async",
        "openai:AsyncOpenAI",
        ("openai", "vcr"),
        _chat_later,
        lambda client: client.chat.completion,
        {"chat.completions.create": _CHOICE},
        _SERVED_CHAT,
    ),
    Row(
        "anthropic",
        "anthropic:Anthropic",
        ("anthropic", "vcr"),
        lambda sdk, _: sdk.client.messages.create(model="m", max_tokens=1, messages=[]).content[0].text,
        lambda client: client.messages.create(model="m", max_token=1),
        {"messages.create": _has(content=[_has(text="hi")])},
        {"POST /v1/messages": _MESSAGE},
    ),
    Row(
        "stripe",
        "stripe:StripeClient",
        ("stripe", "vcr"),
        lambda sdk, _: sdk.client.v1.customers.create(params={"name": "Ada"}).id,
        lambda client: client.v1.customer,
        {"v1.customers.create.id": "hi"},
        {"POST /v1/customers": {"id": "hi", "object": "customer"}},
    ),
    Row(
        "httpx",
        "httpx:Client",
        ("httpx", "vcr"),
        lambda sdk, _: sdk.client.get("/a").json(),
        lambda client: client.get("/a", parameters={}),
        {"get.json": "hi"},
        {"GET /a": '"hi"'},
    ),
    Row(
        "httpx, async",
        "httpx:AsyncClient",
        ("httpx", "vcr"),
        _get_later,
        lambda client: client.get("/a", parameters={}),
        {"get.json": "hi"},
        {"GET /a": '"hi"'},
    ),
    Row(
        "requests",
        "requests:Session",
        ("requests", "vcr"),
        lambda sdk, url: sdk.client.get(f"{url}/a", headers=sdk.client.headers).json(),
        lambda client: setattr(client, "header", {}),
        {"get.json": "hi"},
        {"GET /a": '"hi"'},
    ),
    Row(
        "boto3, clients",
        "boto3:client",
        ("boto3", "vcr"),
        lambda sdk, _: sdk.client.list_buckets()["Buckets"][0]["Name"],
        lambda client: client.put_object(Bucket="b", Name="k"),
        {"list_buckets": {"Buckets": [{"Name": "hi"}]}},
        {"GET /": _BUCKETS},
        arguments={"service_name": "s3"},
    ),
    Row(
        "boto3, resources",
        "boto3:resource",
        ("boto3", "vcr"),
        lambda sdk, _: next(bucket.name for bucket in sdk.client.buckets.all()),
        lambda client: client.Bucket("b").objects.everything(),
        {"buckets.all": [_has(name="hi")]},
        {"GET /": _BUCKETS},
        arguments={"service_name": "s3"},
    ),
    Row(
        "google-cloud-storage",
        "google.cloud.storage:Client",
        ("google.cloud.storage", "vcr"),
        lambda sdk, _: sdk.client.get_bucket("b").location,
        lambda client: client.bucket("b").blob("k").uplod_from_string("x"),
        {"get_bucket.location": "hi"},
        {"GET /storage/v1/b/b": {"name": "b", "location": "hi"}},
    ),
    Row(
        "azure-storage-blob",
        "azure.storage.blob:BlobServiceClient",
        ("azure.storage.blob", "vcr"),
        lambda sdk, _: next(iter(sdk.client.list_containers())).name,
        lambda client: client.get_container_client("c").upload("k"),
        {"list_containers": [_has(name="hi")]},
        {"GET /mock/": _CONTAINERS},
    ),
    Row(
        "redis",
        "redis:Redis",
        _REDIS,
        _redis,
        lambda client: client.pipeline().gett("k"),
        {"echo": "hi", "pipeline.execute": [True, b"hi"]},
        adapter="redis_adapter:Redis",
        arguments={"decode_responses": True},
    ),
    Row(
        "redis, async",
        "redis.asyncio:Redis",
        _REDIS,
        _redis_later,
        lambda client: client.get(),
        {"echo": "hi", "pipeline.execute": [True, b"hi"]},
        adapter="redis_adapter:Redis",
        arguments={"decode_responses": True},
    ),
    Row(
        "psycopg",
        "psycopg:connect",
        ("psycopg", "pgserver", "vcr"),
        _select,
        lambda client: client.cursor().fetch(),
        {"cursor.fetchone": ("hi",)},
        adapter="postgresql_adapter:PostgreSQL",
    ),
)


def run(row: Row) -> dict[str, str]:
    """What works at each mock level, as the table says it; raises whatever does not work."""
    return {
        "full_mock": _run_full(row),
        "recorded": _run_recorded(row),
        "partial_mock": _run_partial(row),
        "none": _run_none(row),
    }


def _use(row: Row, options: TestSDKOptions, url: str = "") -> None:
    with TestSDKFactory.create(options) as sdk:
        value = row.use(sdk, url if sdk.server is None else sdk.server.url)
        value = asyncio.run(value) if inspect.iscoroutine(value) else value
    assert value == "hi", f"{row.name}, {options.mock_level}: {value!r}"


def _run_full(row: Row) -> str:
    options = TestSDKOptions(sdk=row.sdk, replies=row.mocked, arguments=row.arguments)
    _use(row, options)
    with TestSDKFactory.create(options) as sdk:
        try:
            row.wrong(sdk.client)
        except (TypeError, AttributeError):
            return YES
    raise AssertionError(f"{row.name}: the mock accepts what the client refuses")


@contextlib.contextmanager
def _serving(row: Row) -> Iterator[tuple[dict[str, Any], str]]:
    """A service for the SDK: the client's arguments to reach it, and its address."""
    with contextlib.ExitStack() as stack:
        if row.served:
            server = LocalServer(row.served)
            stack.callback(server.close)
            yield {**row.arguments, **find_adapter(row.sdk).arguments_at(server.url)}, server.url
        else:
            yield (
                {
                    **row.arguments,
                    **_adapter_of(row).start_local_server(Closing(lambda close: stack.push(lambda *_: close()))),
                },
                "",
            )


def _adapter_of(row: Row) -> SDKAdapter:
    module_name, _, name = row.adapter.partition(":")
    sys.path.insert(0, os.path.join(REPOSITORY, "examples"))
    try:
        adapter: SDKAdapter = getattr(importlib.import_module(module_name), name)()
    finally:
        del sys.path[0]
    adapter.client_class = find_adapter(row.sdk).client_class  # the same server also serves asynchronous clients
    return adapter


def _run_recorded(row: Row) -> str:
    with tempfile.TemporaryDirectory() as directory:
        cassette = os.path.join(directory, "recording.yaml")
        with _serving(row) as (arguments, url):
            options: dict[str, Any] = {
                "sdk": row.sdk,
                "mock_level": "recorded",
                "cassette": cassette,
                "arguments": arguments,
            }
            _use(row, TestSDKOptions(record_mode="once", **options), url)
        if not os.path.exists(cassette):
            return NOT_HTTP
        _use(row, TestSDKOptions(**options), url)  # when the server is gone
        return YES


def _run_partial(row: Row) -> str:
    if row.served:
        _use(row, TestSDKOptions(sdk=row.sdk, mock_level="partial_mock", replies=row.served, arguments=row.arguments))
        return YES
    try:
        _use(row, TestSDKOptions(sdk=row.sdk, mock_level="partial_mock"))
    except OptionError:
        _use(row, TestSDKOptions(sdk=_adapter_of(row), mock_level="partial_mock", arguments=row.arguments))
        return WITH_ADAPTER
    return YES


def _run_none(row: Row) -> str:
    with _serving(row) as (arguments, url):
        _use(row, TestSDKOptions(sdk=row.sdk, mock_level="none", arguments=arguments), url)
    return YES


# ---- the table in the page

_TABLE = re.compile(r"(?<=^\.\. filled in by tests\.support\.sdk_table\n\n)(?:[^\n]+\n)+", re.MULTILINE)


def read_table() -> dict[str, list[str]]:
    """The cells of the table in the page, by the name of the SDK."""
    with open(PAGE, encoding="utf-8") as file:
        match = _TABLE.search(file.read())
    lines = match[0].splitlines()[3:-1] if match else []
    cells = [re.split(r"\s{2,}", line) for line in lines]
    return {name: rest for name, *rest in cells}


def format_table(table: Mapping[str, list[str]]) -> str:
    """The table as reStructuredText."""
    rows = [["SDK", "``sdk=``", *(f"``{level}``" for level in LEVELS)]]
    rows += [[name, *table[name]] for name in table]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule]) + "\n"


def cells_of(row: Row) -> list[str]:
    """The row of the table, by running it."""
    found = run(row)
    return [f"``{row.sdk}``", *(found[level] for level in LEVELS)]


def main() -> None:
    """Fill in the table anew; what cannot be run here stays as it is."""
    before = read_table()
    table = {}
    for row in ROWS:
        if row.missing:
            print(f"{row.name}: not run, for lack of {', '.join(row.missing)}")
            table[row.name] = before[row.name]
        else:
            table[row.name] = cells_of(row)
    with open(PAGE, encoding="utf-8") as file:
        text = file.read()
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(_TABLE.sub(lambda _: format_table(table), text))


if __name__ == "__main__":
    main()
