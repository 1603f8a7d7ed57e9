"""Without these, a run could answer signals, open its backends or list its tests in a wrong way."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import Any

from isolatedunit.backends.contract import Setting
from isolatedunit.config.options import Options
from isolatedunit.engine.attempt.stimuli import ChildExited, LimitExceeded, SlotGranted, SpawnFailed
from isolatedunit.engine.collect import Collection
from isolatedunit.engine.control import Control
from isolatedunit.engine.open_backends import OpenBackends
from isolatedunit.engine.publisher import Publisher
from isolatedunit.engine.running import Running
from isolatedunit.engine.scheduling.latency import LatencyPolicy
from isolatedunit.errors import CollectionError, Interrupted, IsolatedUnitError
from isolatedunit.model.events import Event, RunInspected, Warned
from isolatedunit.model.results import ExitStatus
from isolatedunit.model.start_methods import Capabilities, capabilities_of
from isolatedunit.protocol.messages import ChildFailed, ChildReady, ImportStarted, TestsCollected, WorkFinished
from tests.support.attempts import SETTINGS
from tests.support.start_methods import START_METHODS

PID = 4711
KILLED = ExitStatus(signal="SIGKILL")
TEST = {"id": "m.C.t", "name": "t", "class_id": "m.C", "module": "m"}


class FakeLoop:
    """Notes what it is asked for; feeds each attempt the stimuli of a script, and the time goes on by itself."""

    def __init__(self, *scripts: list[Any]) -> None:
        self.calls: list[Any] = []
        self.now = 0.0
        self._scripts = list(scripts)
        self._running: list[tuple[Running, list[Any]]] = []
        self.commands: list[Any] = []
        self.on_turn: Callable[[], object] = lambda: None

    @property
    def occupied(self) -> int:
        return len(self._running)

    def start(self, running: Running) -> None:
        self.commands.append(running.spec.command)
        running.attempt.handle(SlotGranted(), self.now)
        self._running.append((running, self._scripts.pop(0)))

    def turn(self, until: float | None = None) -> None:
        self.on_turn()
        self.now += 0.125
        for running, script in list(self._running):
            running.attempt.handle(script.pop(0), self.now)
            if not script:
                self._running.clear()

    def wake_up(self) -> None:
        self.calls.append("wake_up")

    def inspect(self) -> None:
        self.calls.append("inspect")

    def suspend(self, pids: list[int]) -> None:
        self.calls.append(("suspend", pids))

    def cancel(self, reason: str, **how: Any) -> None:
        self.calls.append(("cancel", reason, how))


def said(kind: Any, **fields: Any) -> Any:
    return kind(attempt="", pid=PID, **fields)


class ControlTest(unittest.TestCase):
    def setUp(self) -> None:
        loop: Any = FakeLoop()
        self.loop = loop
        self.control = Control(self.loop, lambda: [1, 2])

    def done(self) -> list[Any]:
        return [call for call in self.loop.calls if call != "wake_up"]

    def test_nothing_is_done_in_the_signal_handler(self) -> None:
        self.control.suspend()
        self.control.inspect()
        self.assertEqual(self.loop.calls, ["wake_up", "wake_up"])
        self.control.obey()
        self.assertEqual(self.done(), [("suspend", [1, 2]), "inspect"])
        self.control.obey()
        self.assertEqual(len(self.done()), 2)

    def test_a_key_that_is_held_down_counts_once(self) -> None:
        for _ in range(5):
            self.control.suspend()
        self.control.obey()
        self.assertEqual(self.done(), [("suspend", [1, 2])])

    def test_every_interrupt_counts(self) -> None:
        self.control.interrupt()
        self.control.interrupt()
        self.assertEqual(self.control.interrupts, 2)

    def test_the_first_reason_to_stop_stays(self) -> None:
        self.control.stop("first")
        self.control.stop("second")
        self.assertEqual(self.control.stop_reason, "first")

    def test_calls_wait_for_a_scheduler_and_keep_their_order(self) -> None:
        scheduler: Any = object()
        got: list[Any] = []
        self.control.ask(lambda given: got.append(("first", given)))
        self.control.ask(lambda _: self.control.cancel_attempt("run/0#1", "why"))
        self.control.obey()
        self.assertEqual((got, self.done()), ([], []))
        self.control.obey(scheduler)
        self.assertEqual(got, [("first", scheduler)])
        self.assertEqual(self.done(), [("cancel", "why", {"attempt": "run/0#1"})])


class FakeBackend:
    def __init__(self, name: str, setting: Setting, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self.name = name
        self.setting = setting
        self.calls: list[Any] = []

    def share_imports(self, wanted: Any) -> None:
        self.calls.append(wanted)

    def pids_with_successor(self) -> list[int]:
        return [7]

    def prespawn(self) -> None:
        self.calls.append("prespawn")

    def end_prespawned(self) -> None:
        self.calls.append("end_prespawned")

    def renew_files(self) -> None:
        self.calls.append("renew_files")

    def close(self) -> None:
        self.calls.append("close")


class OpenBackendsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.opened: list[Any] = []
        self.settings = 0

    def make(self, start_method: str = "spawn") -> OpenBackends:
        def open_backend(name: str, setting: Setting) -> Any:
            self.opened.append(FakeBackend(name, setting, capabilities_of(name)))
            return self.opened[-1]

        return OpenBackends(open_backend, self.make_setting, LatencyPolicy(Options(), start_method), 2)

    def make_setting(self) -> Any:
        self.settings += 1
        return self.settings

    def test_each_is_opened_once_and_when_it_is_needed(self) -> None:
        backends = self.make()
        self.assertEqual((self.opened, self.settings), ([], 0))
        self.assertIs(backends.get("spawn"), backends.get("spawn"))
        self.assertEqual([(backend.name, backend.setting) for backend in self.opened], [("spawn", 1)])

    @unittest.skipUnless("forkserver" in START_METHODS, "needs forks")
    def test_it_asks_backends_for_what_they_can_do(self) -> None:
        backends = self.make("forkserver")
        backends.share_imports([("a", ("import b",))])  # type: ignore[list-item]
        backends.get("spawn")
        self.assertEqual([backend.calls for backend in self.opened], [[[("a", ("import b",))]], []])
        self.assertEqual(backends.pids_with_successor(), [7], "the other backend takes no orders")
        self.assertIsNone(backends.prespawner, "only a run's own backend starts processes ahead")

    def test_a_prespawner_is_for_a_backend_that_is_open(self) -> None:
        backends = self.make()
        self.assertIsNone(backends.prespawner)
        backends.get("spawn")
        self.assertIsNotNone(backends.prespawner)
        self.assertIs(backends.prespawner, backends.prespawner)

    def test_all_are_closed(self) -> None:
        backends = self.make()
        backend: Any = backends.get("spawn")
        backends.renew_files()
        backends.close()
        self.assertEqual(backend.calls, ["renew_files", "close"])
        backends.close()
        self.assertEqual(len(backend.calls), 2)


class PublisherTest(unittest.TestCase):
    def test_a_warning_is_given_once(self) -> None:
        heard: list[Event] = []

        class Hearing:
            def handle(self, event: Event) -> None:
                heard.append(event)

        publisher = Publisher([Hearing()], lambda: 2.5)
        publisher.warn("look out")
        publisher.warn("look out")
        publisher.publish([RunInspected(3.0, ())])
        self.assertEqual(heard, [Warned(2.5, "look out"), RunInspected(3.0, ())])

    def test_a_listener_gets_only_events_of_the_classes_that_it_names(self) -> None:
        heard: list[Event] = []

        class Picky:
            hears = (Warned,)

            def handle(self, event: Event) -> None:
                heard.append(event)

        publisher = Publisher([Picky()], lambda: 2.5)
        publisher.publish([RunInspected(3.0, ()), Warned(2.5, "look out"), RunInspected(4.0, ())])
        self.assertEqual(heard, [Warned(2.5, "look out")])


class CollectionTest(unittest.TestCase):
    def collect(self, *scripts: list[Any], **options: Any) -> Any:
        loop: Any = FakeLoop(*scripts)
        self.loop = loop
        self.control = Control(self.loop, list)
        return Collection("run", Options(**options), self.loop, self.control, lambda _: SETTINGS).collect({"names": []})

    def listed(self, *tests: dict[str, Any]) -> list[Any]:
        return [
            said(ChildReady),
            said(TestsCollected, tests=list(tests)),
            said(TestsCollected, tests=[], last=True),
            said(WorkFinished, clean=True),
            ChildExited(ExitStatus(exit_code=0)),
        ]

    def test_the_tests_that_a_child_lists(self) -> None:
        self.assertEqual(
            [test.id for test in self.collect(self.listed(TEST, {**TEST, "id": "m.C.u"}))], ["m.C.t", "m.C.u"]
        )
        self.assertEqual(self.loop.commands[0].attempt, "run/collect#1")

    def test_patterns_go_along(self) -> None:
        self.collect(self.listed(), patterns=("*x*",))
        self.assertEqual(self.loop.commands[0].source, {"names": [], "select": ["*x*"]})

    def test_a_module_that_ends_the_child_is_left_out_by_the_next(self) -> None:
        killed = [said(ChildReady), said(ImportStarted, module="bad"), ChildExited(KILLED)]
        self.assertEqual(len(self.collect(killed, self.listed(TEST))), 1)
        known_bad = self.loop.commands[1].known_bad
        self.assertEqual((list(known_bad), known_bad["bad"]["cause"]), (["bad"], "crash"))
        self.assertEqual(
            known_bad["bad"]["text"],
            "The process that collects the tests was killed by SIGKILL before it finished. "
            "It happened while this module was imported.",
        )

    def test_a_module_that_exceeds_a_limit_is_named(self) -> None:
        for stimulus, text in (
            (LimitExceeded("output", "The import of bad wrote 2 bytes; the limit is 1 (max_output)."), None),
            (LimitExceeded("memory", "The kernel ran out of memory."), " It happened while this module was imported."),
        ):
            with self.subTest(stimulus):
                begun = [said(ChildReady), said(ImportStarted, module="bad"), stimulus, ChildExited(KILLED)]
                self.collect(begun, self.listed(TEST))
                known_bad = self.loop.commands[1].known_bad
                self.assertEqual(known_bad["bad"]["text"], stimulus.text + (text or ""))

    def test_the_last_line_says_what_became_of_a_module(self) -> None:
        late = [said(ChildReady), said(ImportStarted, module="bad"), ChildExited(KILLED, stacks="File 1\nFile 2\n")]
        self.collect(late, self.listed(TEST))
        stacks, _, sentence = self.loop.commands[1].known_bad["bad"]["text"].partition("\n\n")
        self.assertEqual(stacks, "File 1\nFile 2")
        self.assertIn("SIGKILL", sentence)

    def test_one_that_ends_it_twice_is_no_reason_to_go_on_for_ever(self) -> None:
        killed = [said(ChildReady), said(ImportStarted, module="bad"), ChildExited(KILLED)]
        with self.assertRaisesRegex(CollectionError, "(?s)collecting the tests failed: .*SIGKILL.*running"):
            self.collect(list(killed), list(killed))

    def test_a_child_that_could_not_be_started_is_tried_again_after_a_pause(self) -> None:
        self.assertEqual(len(self.collect([SpawnFailed("busy")], [SpawnFailed("busy")], self.listed(TEST))), 1)
        self.assertGreaterEqual(self.loop.now, 0.2 + 0.4)
        with self.assertRaisesRegex(CollectionError, "could not be started: no memory"):
            self.collect([SpawnFailed("no memory")], [SpawnFailed("no memory")], [SpawnFailed("no memory")])
        with self.assertRaisesRegex(CollectionError, "could not be started: no interpreter"):
            self.collect([SpawnFailed("no interpreter", lasting=True)])

    def test_a_bug_of_ours_is_no_modules_fault(self) -> None:
        with self.assertRaisesRegex(IsolatedUnitError, "This is a bug in isolatedunit(?s:.*)Traceback of ours"):
            self.collect([said(ChildReady), said(ChildFailed, text="Traceback of ours"), ChildExited(KILLED)])

    def test_an_interrupt(self) -> None:
        script = self.listed()
        loop: Any = FakeLoop(script)
        control = Control(loop, list)
        collection = Collection("run", Options(), loop, control, lambda _: SETTINGS)
        loop.on_turn = lambda: control.interrupt() if control.interrupts < 2 else None

        def cancel(reason: str, *, force: bool = False) -> None:
            from isolatedunit.engine.attempt.stimuli import CancelRequested

            loop.calls.append(("cancel", force))
            script[:] = [CancelRequested(reason, force), ChildExited(KILLED)]

        loop.cancel = cancel
        with self.assertRaises(Interrupted):
            collection.collect({"names": []})
        self.assertEqual([call for call in loop.calls if call != "wake_up"], [("cancel", False), ("cancel", True)])


if __name__ == "__main__":
    unittest.main()
