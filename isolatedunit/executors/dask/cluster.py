"""A Dask cluster that is there already, whoever has made it: one batch is one task."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from distributed import Client, Future

from isolatedunit.errors import OptionError
from isolatedunit.executors.contract import Begun, Ended, Lost, News, Reported, SlotsChanged
from isolatedunit.executors.dask.task import check, run_batch, tell, topic_of

CONNECT_TIMEOUT = "10s"
LOOK_INTERVAL = 1.0
"""Seconds between two looks at how many threads the workers have."""


class DaskCluster:
    """The cluster whose scheduler has this *address*, for the run with the id *run*.

    *wake* is called from Dask's own threads when there is something to `poll`. Transport encryption is configured where
    Dask reads it, for all that it does: ``distributed.comm.tls``, and an *address* that begins with ``tls://``.
    """

    def __init__(self, address: str, run: str, wake: Callable[[], None]) -> None:
        self._address = address
        self._run = run
        self._wake = wake
        self._news: deque[News] = deque()
        self._client: Any = None
        self._expected: Mapping[str, Any] = {}
        self._futures: dict[str, Future] = {}
        self._next: dict[tuple[str, str], int] = {}
        self._gaps: set[tuple[str, str]] = set()
        self.warnings: list[str] = []

    def open(self, expected: Mapping[str, Any]) -> int:
        """Connect, and compare all workers with this machine; returns the number of their threads."""
        self._expected = expected
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what it has to say is told in our own words
        try:
            client = Client(self._address, timeout=CONNECT_TIMEOUT, set_as_default=False, name="isolatedunit")
        except (OSError, ValueError, TypeError, ImportError, RuntimeError) as exception:  # refused: not encrypted
            raise OptionError(
                f"--scheduler: there is no Dask scheduler at {self._address!r} ({_first_line(exception)}); "
                "start one with: dask scheduler"
            ) from None
        self._client = client
        if is_plain(client.scheduler.address):
            self.warnings.append(
                f"the connection to {client.scheduler.address} is not encrypted, and a Dask scheduler runs the code of "
                "whoever reaches it; use tls:// unless you trust the network"
            )
        slots: int = sum(client.nthreads().values())
        if not slots:
            raise OptionError(
                f"--scheduler: the cluster of {self._address} has no workers; start some with: dask worker "
                f"{client.scheduler.address}"
            )
        self._compare()
        client.subscribe_topic(topic_of(self._run), self._hear)
        client.loop.add_callback(self._watch)
        return slots

    def _compare(self) -> None:
        for worker, found in self._client.run(check, self._run, self._expected, on_error="return").items():
            problem = found
            if isinstance(found, BaseException):
                problem = f"it cannot import isolatedunit ({_first_line(found)}); install the same version there."
            if problem is not None:
                raise OptionError(f"--executor dask: worker {worker}: {problem}")

    def submit(self, batch: str, work: bytes) -> None:
        """Have a worker run the batch."""
        future = self._client.submit(
            run_batch, self._run, batch, self._expected, work, key=f"isolatedunit-{self._run}-{batch}", pure=False
        )
        self._futures[batch] = future
        future.add_done_callback(lambda done: self._conclude(batch, done))

    def tell(self, word: str) -> None:
        """Send a word to all that runs."""

        def send() -> None:
            with suppress(Exception):  # a worker, or the scheduler, has just gone
                self._client.run(tell, self._run, word, on_error="ignore")

        threading.Thread(target=send, name="isolatedunit-tell", daemon=True).start()

    def poll(self) -> Sequence[News]:
        """What is new since the last time."""
        news = []
        while self._news:
            news.append(self._news.popleft())
        return news

    def close(self) -> None:
        """End what still runs, and disconnect."""
        if self._client is None:
            return
        with suppress(Exception):
            self._client.cancel(list(self._futures.values()))
            self._client.set_metadata(["isolatedunit", self._run], None)
        self._client.close(timeout=5)

    # ---- from Dask's threads

    def _tell_loop(self, news: News) -> None:
        self._news.append(news)
        self._wake()

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        message = event[1]
        batch, incarnation = message["batch"], message["incarnation"]
        key, number = (batch, incarnation), message["number"]
        if number != self._next.get(key, 0):
            self._gaps.add(key)
        if key in self._gaps:
            return  # what follows a gap is not to be understood without it
        self._next[key] = number + 1
        if "machine" in message:
            self._tell_loop(Begun(batch, incarnation, message["machine"], message["time"]))
        else:
            self._tell_loop(Reported(batch, incarnation, [json.loads(line) for line in message["lines"].splitlines()]))

    def _conclude(self, batch: str, future: Future) -> None:
        self._futures.pop(batch, None)
        if future.status != "finished":
            why = "its workers died" if future.status == "error" else "the connection to the scheduler was lost"
            self._tell_loop(Lost(batch, why))
            return
        try:
            result = future.result(timeout=CONNECT_TIMEOUT)
        except Exception as exception:  # whatever it is, nobody knows any more how the batch ended
            self._tell_loop(Lost(batch, _first_line(exception)))
            return
        if "lost" not in result:
            heard = self._next.pop((batch, result["incarnation"]), 0)
            if heard != result["messages"]:
                result["lost"] = f"only {heard} of {result['messages']} messages about it arrived"
        self._tell_loop(Lost(batch, result["lost"]) if "lost" in result else Ended(batch))

    async def _watch(self) -> None:
        """Report how many threads the workers have whenever that changes, until the client closes."""
        client, known, was_lost = self._client, None, False
        while client.status in ("running", "connecting"):
            slots = 0
            if client.status == "running":
                with suppress(OSError):
                    slots = sum((await client.scheduler.ncores(workers=None)).values())
                    if was_lost:  # the scheduler may be another one
                        client.subscribe_topic(topic_of(self._run), self._hear)
            was_lost = client.status != "running"
            if slots != known:
                known = slots
                self._tell_loop(SlotsChanged(slots))
            await asyncio.sleep(LOOK_INTERVAL)
        if client.status != "closing":
            self._tell_loop(SlotsChanged(0))


def is_plain(address: str) -> bool:
    """Whether what goes to this address can be read, and changed, by whoever is on the way."""
    protocol, _, rest = address.rpartition("://")
    if protocol not in ("", "tcp", "ws"):
        return False
    host = rest.rpartition(":")[0].strip("[]")
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def _first_line(exception: BaseException) -> str:
    return (str(exception).strip() or type(exception).__name__).splitlines()[0][:200]
