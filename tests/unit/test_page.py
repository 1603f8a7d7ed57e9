"""The page's document: without these tests, a test's data could become script, or a page grow without end."""

from __future__ import annotations

import json
import os

from isolatedunit.model.events import AttemptFinished, AttemptStarted, Event, RunFinished, RunStarted, TestFinished
from isolatedunit.model.results import AttemptReport, Note, TestReport
from isolatedunit.reporters.timeline import Timeline
from isolatedunit.reporters.web.page import LONGEST_OUTPUT, HtmlReport, describe_news, page_of
from tests.support.events import ORIGIN, context
from tests.support.page import EVIL, Data
from tests.support.projects import ProjectTestCase


class DocumentTest(ProjectTestCase):
    def page(self, *reports: TestReport) -> str:
        path = os.path.join(self.directory, "page.html")
        given = context(path)
        report, timeline = HtmlReport(given), given.timeline
        timeline.handle(RunStarted(ORIGIN.time, "run", len(reports), 1, "spawn"))
        for number, one in enumerate(reports):
            timeline.handle(AttemptStarted(ORIGIN.time + number, str(number), (one.id,)))
            timeline.handle(TestFinished(ORIGIN.time + number + 0.5, one))
            timeline.handle(
                AttemptFinished(ORIGIN.time + number + 0.75, str(number), (one.id,), 0.1, 0.75, 2**20, None)
            )
        timeline.handle(RunFinished(ORIGIN.time + 10.0, ()))
        report.write()
        with open(path, encoding="utf-8") as file:
            return file.read()

    def test_a_page_has_one_script_that_may_run_and_nothing_from_elsewhere(self) -> None:
        page = self.page(TestReport(EVIL, "failed", notes=(Note("addFailure", EVIL, EVIL),), stdout=EVIL))
        data = Data(page)
        self.assertEqual(data.elements.count("script"), 2)
        self.assertEqual(data.elements.count("style"), 1)
        self.assertFalse({"img", "link", "iframe", "object"} & set(data.elements))
        self.assertNotRegex(page, r"https?://|url\(|@import")
        self.assertIn("<img src=x", data.document["tests"][0]["message"])

    def test_what_is_in_it(self) -> None:
        attempt = AttemptReport(
            1, "passed", None, 0, None, 7, 0.75, 0.1, None, 0.25, {"peak_rss": 2**20}, {}, "spawn", None
        )
        document = Data(self.page(TestReport("m.C.test", "passed", duration=0.5, attempts=(attempt,)))).document
        (test,), (one,) = document["tests"], document["slices"]
        self.assertEqual((test["id"], test["duration"], test["memory"], test["cpu"]), ("m.C.test", 0.5, 2**20, 0.25))
        self.assertEqual((one["slot"], one["begin"], one["end"], one["outcome"]), (1, 0.0, 0.75, "passed"))

    def test_a_piece_of_the_timeline_is_told_once_it_is_known_what_came_of_it(self) -> None:
        timeline = Timeline(ORIGIN.time)
        timeline.keep_spans()
        outcomes: list[str] = []

        def take(*events: Event) -> list[str]:
            for event in events:
                timeline.handle(event)
            outcomes.extend(one["outcome"] for one in describe_news(timeline, ORIGIN, len(outcomes))["slices"])
            return outcomes

        time = ORIGIN.time
        for number in range(3):
            take(AttemptStarted(time, str(number), (f"m.C.test_{number}",)))
        self.assertEqual((timeline.running["1"].slot, timeline.running["1"].begin), (2, time))
        self.assertEqual(take(AttemptFinished(time, "1", ("m.C.test_1",), 0.1, 0.5, 2**20, None)), [])
        self.assertNotIn("1", timeline.running)
        self.assertEqual(take(AttemptFinished(time, "0", ("m.C.test_0",), 0.1, 0.5, 2**20, None)), [])
        self.assertEqual(take(TestFinished(time, TestReport("m.C.test_0", "failed"))), ["failed"])
        self.assertEqual(take(TestFinished(time, TestReport("m.C.test_1", "passed"))), ["failed", "passed"])
        # nobody tells any more what became of this one
        self.assertEqual(len(take(AttemptFinished(time, "2", ("m.C.test_2",), 0.1, 0.5, 2**20, "cancelled"))), 2)
        self.assertEqual(take(RunFinished(time, ()))[2:], ["error"])

    def test_endless_output_does_not_make_an_endless_page(self) -> None:
        document = Data(self.page(TestReport("m.C.test", "failed", stdout="x" * 10**6))).document
        self.assertLess(len(document["tests"][0]["stdout"]), LONGEST_OUTPUT + 100)
        self.assertTrue(document["tests"][0]["stdout"].endswith(f"and {10**6 - LONGEST_OUTPUT} more characters"))

    def test_data_cannot_be_taken_for_a_part_of_the_page(self) -> None:
        for text in ("{style}", "{data}", "{}", "}{"):
            self.assertIn(json.dumps(text), page_of({"text": text}))
