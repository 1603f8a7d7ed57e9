"""The page's document: without these tests, a test's data could become script, or a page grow without end."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import unittest
from typing import Any

from isolatedunit.model.events import AttemptFinished, AttemptStarted, Event, RunFinished, RunStarted, TestFinished
from isolatedunit.model.results import AttemptReport, Note, TestReport
from isolatedunit.reporters.timeline import Timeline
from isolatedunit.reporters.web.frames import SourceReader
from isolatedunit.reporters.web.page import LONGEST_OUTPUT, HtmlReport, describe_news, page_of
from tests.support.events import ORIGIN, context
from tests.support.page import EVIL, Data
from tests.support.paths import REPOSITORY
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
        self.assertIn("content=\"default-src 'none'; ", page)
        self.assertNotRegex(page.partition("<script")[0], r"https?://|src=|href=|url\(|@import")
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


class BundleTest(unittest.TestCase):
    WEB = os.path.join(REPOSITORY, "isolatedunit", "reporters", "web")

    def test_the_bundle_is_made_of_these_sources(self) -> None:
        folder = os.path.join(self.WEB, "page")
        names = ["build.js", "package.json", "package-lock.json"]
        names += [f"src/{name}" for name in os.listdir(os.path.join(folder, "src"))]
        digest = hashlib.sha256()
        for name in sorted(names):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                digest.update(f"{name}\0{file.read()}".encode())
        with open(os.path.join(self.WEB, "bundle", "page.js"), encoding="utf-8") as file:
            head = file.readline()
        self.assertEqual(head, f"/* sources {digest.hexdigest()}\n", "run `npm ci && npm run build` in the folder page")

    def test_it_is_small_and_has_the_licences(self) -> None:
        sizes = {name: os.path.getsize(os.path.join(self.WEB, "bundle", name)) for name in ("page.js", "page.css")}
        self.assertLess(sum(sizes.values()), 400_000)
        with open(os.path.join(self.WEB, "page", "package.json"), encoding="utf-8") as file:
            packages = json.load(file)["dependencies"]
        page = page_of({})
        for name, version in packages.items():
            self.assertIn(f"{name} {version}: Copyright", page)


class FramesTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.file = os.path.join(directory.name, "test_it.py")
        with open(self.file, "w", encoding="utf-8") as file:
            file.writelines(f"line {number}\n" for number in range(1, 21))

    def frames(self, *frames: str, source: str = "") -> list[dict[str, Any]]:
        text = "Traceback (most recent call last):\n" + "".join(frames) + "ValueError: no\n"
        return SourceReader(self.directory).frames_of(Note("addError", text, "no", "ValueError", source=source))

    def test_the_lines_around_each_frame_of_the_project(self) -> None:
        inside = f'  File "{self.file}", line 9, in test\n    line 9\n'
        outside = '  File "/usr/lib/python3/json/decoder.py", line 3, in decode\n    raise\n'
        (frame,) = self.frames(outside, inside, outside)
        self.assertEqual((frame["line"], frame["first"], frame["function"]), (9, 4, "test"))
        self.assertEqual((frame["lines"][0], frame["lines"][-1]), ("line 4", "line 13"))
        (relative,) = self.frames('  File "test_it.py", line 1, in test\n    line 1\n')
        self.assertEqual((relative["first"], len(relative["lines"])), (1, 5))

    def test_a_stack_of_a_crash_has_no_code(self) -> None:
        (frame,) = self.frames(f'  File "{self.file}", line 20 in test\n')
        self.assertEqual(frame["lines"][-2:], ["line 20", ""])

    def test_what_has_changed_is_not_shown(self) -> None:
        (frame,) = self.frames(f'  File "{self.file}", line 9, in test\n    as it was\n')
        self.assertEqual(frame["lines"], [])
        source = "     8  before\n>    9  as it was\n    10  after\n\n    word = 'it'\n"
        (frame,) = self.frames(f'  File "{self.file}", line 9, in test\n    as it was\n', source=source)
        self.assertEqual((frame["first"], frame["lines"]), (8, ["before", "as it was", "after"]))
        self.assertEqual(frame["values"], ["word = 'it'"])

    def test_text_of_a_test_cannot_have_other_files_shown(self) -> None:
        secret = os.path.join(self.directory, "secret.txt")
        with open(secret, "w", encoding="utf-8") as file:
            file.write("secret\n")
        os.symlink(__file__, os.path.join(self.directory, "link.py"))
        for path in (secret, __file__, os.path.join(self.directory, "link.py"), f"{self.directory}/../test_it.py"):
            self.assertEqual(self.frames(f'  File "{path}", line 1, in test\n'), [], path)

    def test_of_a_deep_recursion_there_are_the_last_frames(self) -> None:
        frames = [f'  File "{self.file}", line {number}, in test\n    line {number}\n' for number in range(1, 21)]
        self.assertEqual([frame["line"] for frame in self.frames(*frames)], [*range(13, 21)])
