"""An item of pytest's as a test for the engine, and what its process sends back: pytest's own reports."""

from __future__ import annotations

import sys
import unittest
import warnings
from typing import Any

import pytest

from isolatedunit.protocol.ipc import ipc
from isolatedunit.pytest_plugin import private
from isolatedunit.pytest_plugin.rehearsal import WORTHWHILE, OwnHooks, rehearse

VALUE = "isolatedunit.pytest"
"""The name of the value that has the reports. A process that has not sent it has not come to the test's end."""

__unittest = True  # leaves this module's frames out of tracebacks


class ItemTest(unittest.TestCase):
    """Runs *item* by pytest's protocol, with all hooks of all plugins, in the process of the test."""

    terminal: str | None = None
    """The path of a file for what the item's process writes to the terminal, past what pytest captures."""

    def __init__(self, item: pytest.Item) -> None:
        super().__init__()
        self.item = item
        self.nodeid = item.nodeid

    def runTest(self) -> None:
        """Exist: unittest wants a method."""

    def __str__(self) -> str:
        return self.nodeid

    def id(self) -> str:
        """The item's id."""
        return self.nodeid

    def shortDescription(self) -> None:
        """Items have none."""

    def run(self, result: Any = None) -> Any:
        """Run the item, send its reports, and say what came of it."""
        result.startTest(self)
        try:
            heard = _run_protocol(self.item, self.terminal)
            ipc.send(VALUE, heard.as_value())
            heard.tell(self, result)
        finally:
            result.stopTest(self)
        return result


class Heard:
    """Hears what pytest would have told its user, in the process of one test: a plugin.

    There is one, in the template; each test's process has its own copy.
    """

    HOOKS = (
        "pytest_runtest_logstart",
        "pytest_runtest_logreport",
        "pytest_runtest_logfinish",
        "pytest_warning_recorded",
    )

    def __init__(self, config: pytest.Config | None) -> None:
        self._config: Any = config
        self.hooks: OwnHooks | None = None
        self._reports: list[pytest.TestReport] = []
        self._serialized: list[Any] = []
        self._warnings: list[Any] = []
        self.notes: list[str] = []
        self.inherited: dict[Any, int] = {}
        self.exit: dict[str, Any] | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Tear down also what only this process has set up for a higher scope, which is kept."""
        private.tear_down_since(item.session, self.inherited)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keep the report."""
        # pytest 9 decides there, and not when it makes the report, that a failed subtest fails its test
        hook: Any = self.hooks or self._config.hook
        hook.pytest_report_teststatus(report=report, config=self._config)
        self._reports.append(report)
        self._serialized.append(hook.pytest_report_to_serializable(config=self._config, report=report))

    def pytest_warning_recorded(self, warning_message: Any, when: str, nodeid: str, location: Any) -> None:
        """Keep the warning."""
        category = warning_message.category
        self._warnings.append(
            {
                "text": str(warning_message.message),
                "category": [category.__module__, category.__qualname__],
                "place": [warning_message.filename, warning_message.lineno],
                "when": when,
                "nodeid": nodeid,
                "location": None if location is None else list(location),
            }
        )

    def as_value(self) -> Any:
        """All that was heard, as plain data."""
        return _plain({"reports": self._serialized, "warnings": self._warnings, "notes": self.notes, "exit": self.exit})

    def forget(self) -> None:
        """Forget what was heard of an item that is no test."""
        for heard in (self._reports, self._serialized, self._warnings):
            heard.clear()
        self.inherited, self.exit = {}, None

    def tell(self, test: ItemTest, result: Any) -> None:
        """Say in unittest's words what came of the test, which decides about retries."""
        failed = [report for report in self._reports if report.failed]
        skipped = [report for report in self._reports if report.skipped]
        if failed or self.exit is not None:
            text = failed[0].longreprtext if failed else "pytest.exit() was called"
            result.addFailure(test, (AssertionError, AssertionError(text), None))
        elif skipped:
            result.addSkip(test, skipped[0].longreprtext)
        else:
            result.addSuccess(test)


def listen(session: pytest.Session) -> None:
    """In the template: have only what a test's process sends back hear what pytest tells its user."""
    global _heard
    config = session.config
    _heard = Heard(config)
    private.forget_warnings(config)
    private.listen_alone(config, _heard, _heard.HOOKS)
    if len(session.items) >= WORTHWHILE and _coverage() is None:
        _heard.hooks = OwnHooks(config)
        rehearse(session, _heard.hooks, lambda item: _run_protocol(item).as_value())
        _heard.hooks = None
        _heard.forget()


_heard: Heard


def note(text: str) -> None:
    """Have the user know *text*, once, when a test's process that is a fork of this one has ended."""
    _heard.notes.append(text)


def _run_protocol(item: pytest.Item, terminal: str | None = None) -> Heard:
    config, heard = item.config, _heard
    private.take_capture(config, terminal)
    heard.inherited = private.count_finalizers(item.session)
    try:
        # the hook itself, not a function behind it: wrappers, as of pytest-timeout, have to run in this process
        hook: Any = heard.hooks or config.hook
        hook.pytest_runtest_protocol(item=item, nextitem=private.deepest_set_up(item.session))
    except pytest.exit.Exception as exception:
        heard.exit = {"reason": str(exception.msg), "code": exception.returncode}
    finally:
        _save_coverage()
    return heard


def _save_coverage() -> None:
    """Save what coverage.py has measured here, whoever started it: this process ends without its exit functions."""
    current = _coverage()
    if current is not None:
        current.stop()
        current.save()


def _coverage() -> Any:
    """What coverage.py measures this process with; None if it does not."""
    coverage: Any = sys.modules.get("coverage")
    return None if coverage is None else coverage.Coverage.current()


def _plain(value: Any) -> Any:
    """The value as plain data: what is none becomes its text."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return str(value)


def restore_report(config: pytest.Config, data: Any) -> Any:
    """The report that a process sent; what had been tuples are tuples again."""
    for name in ("sections", "user_properties"):
        data[name] = [tuple(pair) for pair in data.get(name, ())]
    for name in ("location", "longrepr"):
        if isinstance(data.get(name), list):
            data[name] = tuple(data[name])
    return config.hook.pytest_report_from_serializable(config=config, data=data)


def record_warning(config: pytest.Config, data: Any) -> None:
    """Record a warning that a process sent, as if it had come from this one."""
    module, name = data["category"]
    category: Any = sys.modules.get(module)
    for part in name.split("."):
        category = getattr(category, part, None)
    if not (isinstance(category, type) and issubclass(category, Warning)):
        category = UserWarning
    filename, line = data["place"]
    try:
        message = category(data["text"])
    except Exception:  # its constructor wants something else
        category, message = UserWarning, UserWarning(f"{name}: {data['text']}")
    config.hook.pytest_warning_recorded.call_historic(
        kwargs={
            "warning_message": warnings.WarningMessage(message, category, filename, line),
            "when": data["when"],
            "nodeid": data["nodeid"],
            "location": None if data["location"] is None else tuple(data["location"]),
        }
    )
