"""Serves the page of a run during the run, to whoever has the token, in a thread of the runner.

Server-sent events bring each client what is new since its last update. Nothing is kept per client, so slow clients, or
many of them, cost the run nothing. Many build servers show results while tests run; the checks of Host and Origin
protect against DNS rebinding.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from isolatedunit.errors import OptionError
from isolatedunit.model.events import Event, RunFinished, RunInspected, TestFinished
from isolatedunit.reporters.contract import NO_COMMANDS, Commands, Origin
from isolatedunit.reporters.escaping import on_one_line, printable
from isolatedunit.reporters.time_estimate import TimeEstimate
from isolatedunit.reporters.timeline import Span, Timeline
from isolatedunit.reporters.web.page import TestDescriber, describe_news, page_of
from isolatedunit.reporters.web.past import read_past
from isolatedunit.system import processes

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from isolatedunit.config.options import Options
    from isolatedunit.model.results import PlannedTest

INTERVAL = 0.2
"""Seconds between two updates of a client."""

SHORTEST_TOKEN = 16
"""Characters that a token must have at least."""

_STACKS_TIMEOUT = 5.0
_LEAVE_TIMEOUT = 5.0
_FIRST_AGAIN = 10**12  # higher than the number of any planned test


class RunControl(Protocol):
    """What the page's buttons control."""

    def inspect(self) -> None:
        """Report the running tests, with their stacks, to the listeners."""

    def cancel_attempt(self, attempt: str, reason: str) -> None:
        """Terminate this attempt if it is running; call it in the run's own thread."""

    def ask(self, deed: Callable[[Any], object]) -> None:
        """Call *deed* with the scheduler, in the run's own thread."""


def need_web() -> None:
    """Check that the server's packages are installed; raises `OptionError`."""
    try:
        import starlette
        import uvicorn  # noqa: F401
    except ImportError as exception:
        raise OptionError(
            f"--serve needs the package {exception.name}; install it with: pip install 'isolatedunit[web]'."
        ) from exception
    del starlette


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach *host*."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class LivePage:
    """Serves the page of a run at `address`, from its start to its end: a listener. Raises `OptionError`.

    With `rerun`, it stays when the run is over, shows the next one, and calls that to have tests run again: with
    ``all`` or ``failed``, or with ``test`` and the id of one.
    """

    rerun: Callable[[str, str], object] | None = None

    def __init__(self, options: Options) -> None:
        assert options.serve is not None
        need_web()
        host, port = options.serve
        self.is_local = is_loopback(host)
        if options.serve_token is None and not self.is_local:
            raise OptionError(f"--serve: other machines can reach {host!r}; add a --serve-token.")
        if options.serve_token is not None and len(options.serve_token) < SHORTEST_TOKEN:
            raise OptionError(f"--serve-token: too short; give at least {SHORTEST_TOKEN} characters.")
        self._token = options.serve_token or secrets.token_urlsafe(SHORTEST_TOKEN)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host.strip("[]"), port), family=family)
        except OSError as exception:
            raise OptionError(f"--serve: cannot listen on {host}:{port}: {exception}.") from exception
        self._port: int = self._socket.getsockname()[1]
        self.address = f"http://{host}:{self._port}/?token={self._token}"
        self._options = options
        self._directory = os.getcwd()
        self._lock = threading.Lock()
        self._inspected = threading.Event()
        self._again = 0
        self._runs = 1
        self._is_over = self._is_closing = False
        self.begin(NO_COMMANDS)
        self._server: Any = None
        self._thread: threading.Thread | None = None

    def begin(self, commands: Commands) -> None:
        """Show a run that begins now, which *commands* start again."""
        with self._lock:
            self._runs += self._is_over  # who came before the first run began sees that one
            self._origin = Origin.of(self._options)
            self._timeline = Timeline(self._origin.time)
            self.clock: Callable[[], float] = time.monotonic
            self.estimate = TimeEstimate()
            self._describer = TestDescriber(commands, self._directory)
            self._tests: list[dict[str, Any]] = []
            self._planned: dict[str, PlannedTest] = {}
            self._stacks: dict[str, str] = {}
            self._is_over = False
            self._run: RunControl | None = None

    def rest(self) -> None:
        """Show that the run is over, also if it could not begin."""
        self._is_over = True

    def start(self) -> None:
        """Start to serve."""
        import uvicorn

        config = uvicorn.Config(self._application(), log_level="critical", access_log=False, lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="isolatedunit-page", daemon=True
        )
        self._thread.start()

    def connect(self, run: RunControl) -> None:
        """Have the buttons control *run* from now on."""
        self._run = run

    def follow(self, timeline: Timeline) -> None:
        """Show the run of *timeline* from now on, which hears each event before the page does, without secrets."""
        timeline.keep_spans()
        self._timeline = timeline

    def close(self) -> None:
        """Send the clients the end of the run, and stop serving; may be called more than once."""
        self._is_over = self._is_closing = True
        if self._thread is not None:
            time.sleep(0.0 if self._server is None else INTERVAL)  # for the last update
            self._server.should_exit = True
            self._thread.join(_LEAVE_TIMEOUT)
            self._thread = None
        self._socket.close()

    def handle(self, event: Event) -> None:
        """Keep what the timeline does not: tests as the page shows them, and what its buttons need."""
        with self._lock:
            if isinstance(event, TestFinished):
                self.estimate.finish(event.report.id)
                self._tests.append(self._describer.describe(event.report))
                if event.report.planned is not None:
                    self._planned[on_one_line(event.report.id)] = event.report.planned
            elif isinstance(event, RunInspected):
                self._stacks = {test: stacks for test, _, _, stacks in event.running}
                self._inspected.set()
            elif isinstance(event, RunFinished):
                # where it stays, it is over for a page when another run can be asked for, and a Ctrl-C ends all
                self._is_over = self.rerun is None

    # ---- what clients get

    def _document(self) -> dict[str, Any]:
        with self._lock:
            document = describe_news(self._timeline, self._origin)
            document["run"].update(self._describer.describe_commands(), directory=self._directory)
            # in the order in which they were settled, since updates have what came after
            progress = self._describe_progress(self.clock())
            document |= {"tests": list(self._tests), "live": self._describe_live(), "progress": progress}
        return {**document, "past": read_past(self._options.history)}

    def _news(self, tests: int, slices: int) -> dict[str, Any]:
        """What is new after so many *tests* and *slices*."""
        with self._lock:
            document = describe_news(self._timeline, self._origin, slices)
            now = self.clock()
            running = [self._describe_running(span, now) for span in self._timeline.running_spans()]
            news = {**document, "tests": self._tests[tests:], "running": running}
            news["progress"] = self._describe_progress(now)
        for described in running:  # without the lock, since it takes a while
            process = described.pop("process")
            used = processes.use_of(process) if isinstance(process, int) else None
            described["memory"] = None if used is None else used[0]
        return news

    def _describe_live(self) -> dict[str, Any]:
        stays = self.rerun is not None
        return {"token": self._token, "run": self._runs, "stays": stays, "over": stays and self._is_over}

    def _describe_progress(self, now: float) -> dict[str, Any]:
        left = self.estimate.seconds_left(self._timeline, now)
        return {"done": self._timeline.done, "planned": self._timeline.planned, "left": left}

    def _describe_running(self, span: Span, now: float) -> dict[str, Any]:
        return {
            "attempt": span.attempt,
            "test": on_one_line(span.test),
            "age": now - span.begin,
            "phase": span.phase,
            "process": span.process_id,
            "slot": span.slot,
            "machine": on_one_line(span.machine),
            "begin": span.begin - self._origin.time,
        }

    async def _events(self, run: int, tests: int, slices: int) -> AsyncIterator[str]:
        """What a page of that *run* is told: updates, ``over`` once, ``again`` for another run, ``end`` at last."""
        told_over = False
        while True:
            if run != self._runs:
                yield "event: again\ndata: {}\n\n"
                return
            is_over, is_last = self._is_over, self._is_closing or self.rerun is None
            if is_over and told_over and not is_last:
                yield ": it waits\n\n"  # notices a client that has gone
            else:
                news = await asyncio.to_thread(self._news, tests, slices)
                if run != self._runs:
                    continue
                tests, slices = tests + len(news["tests"]), slices + len(news["slices"])
                name = "update" if not is_over else "end" if is_last else "over"
                yield f"event: {name}\ndata: {json.dumps(news)}\n\n"
                told_over = is_over
            if is_over and is_last:
                return
            await asyncio.sleep(INTERVAL)

    # ---- what clients ask for

    def _do(self, what: str, values: dict[str, Any]) -> dict[str, str]:
        """Do what a button is for; returns the answer to show."""
        run, test, attempt = self._run, str(values.get("test")), str(values.get("attempt"))
        if self._is_over:
            return self._do_afterwards(what, test, str(values.get("which")))
        if run is None:
            return {"text": "The run has not begun yet."}
        if self._options.executor != "local":
            return {"text": "On a cluster, tests can be neither inspected nor stopped nor run again from this page."}
        if what == "stacks":
            self._inspected.clear()
            run.inspect()
            self._inspected.wait(_STACKS_TIMEOUT)
            stacks = next((text for name, text in self._stacks.items() if on_one_line(name) == test), None)
            return (
                {"text": f"{test} is no longer running."}
                if stacks is None
                else {"text": "", "stacks": printable(stacks)}
            )
        if what == "end":
            run.ask(lambda _: run.cancel_attempt(attempt, "it was stopped from the page"))
            return {"text": f"{test} is being stopped."}
        planned = self._planned.get(test)
        if what != "again" or planned is None:
            return {"text": f"{test} cannot be run again."}
        self._again += 1
        once_more = replace(planned, number=_FIRST_AGAIN + self._again, turn=self._again, reports=())
        run.ask(lambda scheduler: scheduler.add(once_more))
        return {"text": f"{test} will run again."}

    def _do_afterwards(self, what: str, test: str, which: str) -> dict[str, str]:
        """What a button is for when the run is over."""
        if self.rerun is None or self._is_closing:
            return {"text": "The run is over."}
        if what == "rerun" and which in ("all", "failed"):
            self.rerun(which, "")
            return {"text": f"{'All' if which == 'all' else 'Failed'} tests will run again."}
        planned = self._planned.get(test)
        if what != "again" or planned is None:
            return {"text": f"{test} cannot be run again."}
        self.rerun("test", planned.unique_id)
        return {"text": f"{test} will run again."}

    # ---- which requests are answered

    def _refuse(self, request: Request, token: str | None) -> str | None:
        """Why this request is refused; None if it is answered."""
        host = request.headers.get("host", "")
        if self.is_local and not is_loopback(host.rpartition(":")[0] or host):
            return "This page is available only at its own address."
        origin = request.headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return "Requests from other pages are not allowed."
        if token is None or not hmac.compare_digest(token.encode(), self._token.encode()):
            return "The token is missing or wrong; use the address that the run printed, which contains it."
        return None

    def _application(self) -> Starlette:
        from starlette.applications import Starlette
        from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
        from starlette.routing import Route

        headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}

        def guarded(answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
            async def check(request: Request) -> Response:
                changes = request.method == "POST"
                token = request.headers.get("x-token") if changes else request.query_params.get("token")
                refusal = self._refuse(request, token)
                response = await answer(request) if refusal is None else PlainTextResponse(refusal, 403)
                response.headers.update(headers)
                return response

            return check

        async def page(_: Request) -> Response:
            return HTMLResponse(page_of(await asyncio.to_thread(self._document)))

        async def events(request: Request) -> Response:
            try:
                tests, slices = (max(0, int(request.query_params.get(name, "0"))) for name in ("tests", "slices"))
                run = int(request.query_params.get("run", self._runs))
            except ValueError:
                return PlainTextResponse("run, tests and slices must be numbers.", 400)
            return StreamingResponse(self._events(run, tests, slices), media_type="text/event-stream")

        async def act(request: Request) -> Response:
            try:
                values = await request.json()
            except ValueError:
                values = None
            if not isinstance(values, dict):
                return PlainTextResponse("The request's body must be a JSON object.", 400)
            return JSONResponse(await asyncio.to_thread(self._do, request.path_params["what"], values))

        return Starlette(
            routes=[
                Route("/", guarded(page)),
                Route("/events", guarded(events)),
                Route("/do/{what:str}", guarded(act), methods=["POST"]),
            ]
        )
