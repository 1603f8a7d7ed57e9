"""Writes a run as subunit, version 2, as it goes: the one module that knows python-subunit."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from isolatedunit.errors import OptionError
from isolatedunit.model.events import Event, RunFinished, TestFinished
from isolatedunit.model.results import TestReport
from isolatedunit.reporters.contract import ReportContext
from isolatedunit.reporters.escaping import on_one_line, printable
from isolatedunit.reporters.files.sink import Outlet

try:
    from subunit.v2 import StreamResultToBytes
except ImportError as _exception:
    raise OptionError(
        "--subunit needs the package python-subunit; install it with: pip install 'isolatedunit[subunit]'."
    ) from _exception

STATUS = {
    "passed": "success",
    "failed": "fail",
    "error": "fail",
    "skipped": "skip",
    "expectedFailure": "xfail",
    "unexpectedSuccess": "uxsuccess",
}

RUN = "isolatedunit.run"
"""The id of what fails if the end of a recorded run is missing: it must not look green."""

_LONGEST_PIECE = 2**20
"""Bytes of a text in one packet; the format allows 4 MiB."""


class SubunitReport:
    """Writes each result as soon as it hears it: a listener."""

    def __init__(self, context: ReportContext) -> None:
        self._origin = context.origin
        self._outlet = Outlet(context.path)
        self._finished = False
        self._buffer = io.BytesIO()
        self._packets: Any = StreamResultToBytes(self._buffer)

    def handle(self, event: Event) -> None:
        """Write *event*, if it has a result."""
        if isinstance(event, TestFinished):
            self._write_report(event.report, self._origin.at(event.time))
        elif isinstance(event, RunFinished):
            for test_id in event.not_run:
                self._put(test_id=on_one_line(test_id), test_status="exists", timestamp=self._origin.at(event.time))
            self._finished = True

    def write(self) -> None:
        """Close the file; raises `OSError` if not all was written."""
        if not self._finished:
            self._put(test_id=RUN, test_status="fail")
        self._outlet.close()

    def _write_report(self, report: TestReport, ended: datetime) -> None:
        test_id = on_one_line(report.id)
        # how long the test itself took: readers of subunit have no use for the cost of isolation
        began = ended - timedelta(seconds=report.duration)
        self._put(test_id=test_id, test_status="inprogress", timestamp=began)
        for name, text in _texts_of(report):
            data = printable(text).encode("utf-8")
            for place in range(0, len(data), _LONGEST_PIECE):
                self._put(
                    test_id=test_id,
                    file_name=name,
                    file_bytes=data[place : place + _LONGEST_PIECE],
                    eof=place + _LONGEST_PIECE >= len(data),
                    mime_type="text/plain;charset=utf8",
                    timestamp=ended,
                )
        tags = {tag for tag in (report.cause, "flaky" if report.flaky else None) if tag is not None}
        self._put(test_id=test_id, test_status=STATUS[report.outcome], test_tags=tags or None, timestamp=ended)

    def _put(self, **packet: Any) -> None:
        self._packets.status(**packet)
        self._outlet.write(self._buffer.getvalue())
        self._buffer.seek(0)
        self._buffer.truncate()


def _texts_of(report: TestReport) -> Iterator[tuple[str, str]]:
    """The attachments of a result, under the names that readers of subunit know."""
    reason = report.message if report.outcome == "skipped" else ""
    for name, text in (
        ("reason", reason),
        ("traceback", report.traceback),
        ("stdout", report.stdout),
        ("stderr", report.stderr),
    ):
        if text:
            yield name, text
