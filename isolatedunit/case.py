"""`IsolatedTestCase` and `isolated`, the names that authors of tests import.

Under the runner of isolatedunit both only carry options, since every test is isolated there. Under
any other runner (unittest's, pytest's or an IDE's) they run each of their tests in a child. In a
child they do nothing: an isolated test never starts another child for itself.
"""

from __future__ import annotations

import functools
import types
import unittest
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from isolatedunit.collection.overrides import OPTIONS_ATTRIBUTE
from isolatedunit.protocol import channel

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from isolatedunit.config.option_values import TestOptionValues
    from isolatedunit.handles import HandleTracker
    from isolatedunit.protocol.ipc import Ipc
    from isolatedunit.sdk import TestSDK, TestSDKOptions
    from isolatedunit.sdk.option_values import SDKOptionValues

__unittest = True  # leaves this module's frames out of tracebacks


_FIXTURES = ("setUpClass", "tearDownClass")

T = TypeVar("T")


class IsolatedTestCase(unittest.TestCase):
    """A `unittest.TestCase` that runs every test in a process of its own, under any runner.

    While a debugger is at work in the runner's process, tests run there, and a line on standard error says so.
    The fixtures ``setUpClass`` and ``tearDownClass`` run in that process, too, and not in the runner's. A
    class attribute named after an option that may be set per test, such as ``process_timeout = 5.0``,
    overrides that option for the tests of the class.
    """

    __isolatedunit_declares__ = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _keep_fixtures_for_the_child(cls)
        if isinstance(cls.sdk_options, dict):  # also that of a mixin
            from isolatedunit.sdk.options import TestSDKOptions

            cls.sdk_options = TestSDKOptions.of(cls.sdk_options, f"{cls.__qualname__}: sdk_options")

    sdk_options: TestSDKOptions | SDKOptionValues | None = None
    """If set, each test of the class has ``self.sdk`` and ``self.session_id``, made before its
    ``setUp`` and closed after its cleanups. A class may set a dictionary of the fields, too."""

    sdk: TestSDK
    session_id: str
    handle_tracker: HandleTracker

    def _callSetUp(self) -> None:
        options = self.sdk_options
        if options is not None:
            assert not isinstance(options, dict), "the class has replaced it"
            self._open_sdk(options)
        super()._callSetUp()  # type: ignore[misc]

    def _open_sdk(self, options: TestSDKOptions) -> None:
        from isolatedunit.handles import tracker as trackers
        from isolatedunit.protocol.ipc import ipc
        from isolatedunit.sdk import TestSDKFactory

        tracker = trackers.current
        if tracker is None:
            tracker = trackers.HandleTracker()
            self.addCleanup(tracker.finish)
        self.handle_tracker = tracker
        request = ipc.request if ipc.is_available else None
        self.sdk = TestSDKFactory.create(options, handle_tracker=tracker, request=request)
        self.session_id = self.sdk.session_id
        self.addCleanup(self.sdk.close)

    @property
    def ipc(self) -> Ipc:
        """The test's connection to the runner, for progress, values and requests."""
        from isolatedunit.protocol.ipc import ipc

        return ipc

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        """Run the test in a child and report the outcome to *result*."""
        if is_local(self):
            return super().run(result)
        return _run_in_child(self, result)


def is_local(test: unittest.TestCase) -> bool:
    """Whether the test runs in this process: in a child, under a debugger, or because the test is skipped anyway."""
    if stays_here():
        return True
    sdk_options = getattr(test, "sdk_options", None)
    if sdk_options is not None and not sdk_options.process_isolation:
        return True
    method = getattr(test, test._testMethodName, None)
    return bool(getattr(type(test), "__unittest_skip__", False) or getattr(method, "__unittest_skip__", False))


def stays_here() -> bool:
    """Whether isolated tests run in this process: because this is a child, or because a debugger is at work here."""
    if channel.current is not None:
        return True
    from isolatedunit.system import debuggers

    if not debuggers.is_debugged():
        return False
    debuggers.say_once()
    return True


def _run_in_child(test: unittest.TestCase, result: unittest.TestResult | None) -> unittest.TestResult | None:
    from isolatedunit.standalone import run_isolated_case

    returned: unittest.TestResult | None = run_isolated_case(test, result)
    return returned


def _keep_fixtures_for_the_child(cls: type) -> None:
    for name in _FIXTURES:
        fixture = cls.__dict__.get(name)
        if isinstance(fixture, classmethod):
            setattr(cls, name, classmethod(_only_in_child(fixture.__func__)))


def _only_in_child(fixture: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fixture)
    def only_in_child(cls: type, *args: Any, **kwargs: Any) -> Any:
        return fixture(cls, *args, **kwargs) if stays_here() else None

    return only_in_child


@overload
def isolated(target: T, /) -> T: ...


@overload
def isolated(**options: Unpack[TestOptionValues]) -> Callable[[T], T]: ...


def isolated(target: Any = None, /, **options: Any) -> Any:
    """Isolate one method of a plain `unittest.TestCase`, or all tests of such a class.

    Use it as ``@isolated``, or with options that may be set per test: ``@isolated(process_timeout=5)``.
    Raises `OptionError` for an unknown option or an unusable value.
    """
    if target is None:
        _check(options)
        return functools.partial(_isolate, options=options)
    return _isolate(target, options={})


def _check(options: dict[str, Any]) -> None:
    from isolatedunit.config.options import PER_TEST, check

    check(options, "@isolated", allowed=PER_TEST)


def _isolate(target: Any, options: dict[str, Any]) -> Any:
    if not isinstance(target, type):
        return _IsolatedMethod(target, options)
    if not issubclass(target, unittest.TestCase):
        raise TypeError(f"@isolated applies to a TestCase or one of its methods, not to {target!r}")
    setattr(target, OPTIONS_ATTRIBUTE, options)
    _keep_fixtures_for_the_child(target)
    _delegate_run(target)
    return target


def tag(*tags: str) -> Callable[[T], T]:
    """Tag a test, or all tests of a class and of the classes derived from it: ``@tag("slow", "database")``.

    ``--tag`` and ``--exclude-tag`` choose by tags. They are kept in an attribute ``tags``, as Django's own decorator
    does. Raises `TypeError` for what is no text.
    """
    if not tags or not all(isinstance(one, str) and one for one in tags):
        raise TypeError(f"@tag takes texts, such as @tag('slow'), and not {tags!r}")

    def decorate(target: T) -> T:
        # of a method that is isolated only the function is kept
        tagged: Any = target._function if isinstance(target, _IsolatedMethod) else target
        tagged.tags = {*getattr(tagged, "tags", ()), *tags}
        return target

    return decorate


class _IsolatedMethod:
    """Takes the place of an isolated method until its class exists; the class then runs the test in a child.

    Trap: if another decorator wraps it, ``__set_name__`` is never called and the class cannot know of it. It then
    runs the test in a child when it is called, between the ``setUp`` and the ``tearDown`` of this process.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        setattr(function, OPTIONS_ATTRIBUTE, options)
        setattr(self, OPTIONS_ATTRIBUTE, options)
        self._function = function

    def __set_name__(self, owner: type[Any], name: str) -> None:
        setattr(owner, name, self._function)
        _delegate_run(owner)

    def __get__(self, test: Any, owner: type[Any]) -> Any:
        return self if test is None else types.MethodType(self, test)

    def __call__(self, test: unittest.TestCase, *args: Any, **kwargs: Any) -> Any:
        if stays_here():
            return self._function(test, *args, **kwargs)
        result = unittest.TestResult()
        _run_in_child(test, result)
        for _, text in result.errors + result.failures:
            raise test.failureException(text)
        for _, reason in result.skipped:
            raise unittest.SkipTest(reason)
        return None


def _delegate_run(cls: type[Any]) -> None:
    """Make *cls* run its tests that are marked as isolated in a child."""
    run_here = getattr(cls, "run", None)
    if run_here is None or hasattr(run_here, "runs_marked_in_child"):
        return

    @functools.wraps(run_here)
    def run(test: unittest.TestCase, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        if is_local(test) or not _is_marked(test):
            returned: unittest.TestResult | None = run_here(test, result)
            return returned
        return _run_in_child(test, result)

    run.runs_marked_in_child = True  # type: ignore[attr-defined]
    cls.run = run


def _is_marked(test: unittest.TestCase) -> bool:
    method = getattr(type(test), test._testMethodName, None)
    return hasattr(type(test), OPTIONS_ATTRIBUTE) or hasattr(method, OPTIONS_ATTRIBUTE)
