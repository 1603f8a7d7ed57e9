"""Pages in a browser: without these tests, they could show a run or an audit wrongly, or not to everybody."""

from __future__ import annotations

import base64
import os
import re
import tempfile
import textwrap
from dataclasses import replace
from typing import Any, ClassVar

from isolatedunit.audit import page as audit_page
from isolatedunit.history.store import RecordedRun, TestHistory
from isolatedunit.model.events import AttemptFinished, AttemptStarted, RunFinished, RunStarted, TestFinished
from isolatedunit.model.results import Attachment, AttemptReport, TestReport
from isolatedunit.reporters.web.page import HtmlReport, page_of
from isolatedunit.reporters.web.past import describe_past
from tests.support.audit_documents import document_of, make_findings
from tests.support.beyond import BEYOND
from tests.support.browser import complaints, needs_browser, open_browser, show_as, violations
from tests.support.command_line import run_isolatedunit
from tests.support.events import ATTEMPT, ORIGIN, context, failure
from tests.support.live import LiveTestCase, needs_server
from tests.support.page import EVIL, Data
from tests.support.projects import ProjectTestCase
from tests.support.waiting import wait_until

SUITE = f"""
    import os
    import time
    import unittest

    class Shop(unittest.TestCase):
        def test_passes(self):
            pass

        def test_fails(self):
            print("output of the " + "shop")
            self.assertEqual(100, 120)

        def test_evil(self):
            raise ValueError({EVIL!r})

        def test_hangs(self):
            time.sleep(600)

        def test_crashes(self):
            os.abort()

        def test_leaks(self):
            self.file = open(__file__)

        def test_flaky(self):
            if not os.path.exists("been-here"):
                os.close(os.open("been-here", os.O_CREAT))
                self.fail("only once")

        @unittest.skip("not today")
        def test_skipped(self):
            pass
    """


MANY = 20_000 if BEYOND else 4_000
"""Far more tests than rows are shown at once."""

PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""A picture of one pixel."""


class DocumentTest(ProjectTestCase):
    def test_a_run_that_was_written_down_becomes_a_page(self) -> None:
        self.write(
            "test_it.py", "import unittest\nclass It(unittest.TestCase):\n    def test(self): self.fail('why')\n"
        )
        self.run_here("--events", "it.jsonl")
        self.run_here("replay", "it.jsonl", "--html", "page.html", report=False)
        with open(os.path.join(self.directory, "page.html"), encoding="utf-8") as file:
            (test,) = Data(file.read()).document["tests"]
        self.assertEqual((test["id"], test["outcome"], test["message"]), ("test_it.It.test", "failed", "why"))


@needs_browser
class BrowserTest(LiveTestCase):
    """One browser for all of these tests, and one run, whose page each of them opens anew."""

    browser: ClassVar[Any]
    page: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        with open(os.path.join(directory.name, "test_shop.py"), "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(SUITE))
        flags = ("--process-timeout", "2", "--retries", "1", "--retry-on", "failed", "--leaks", "warn", "-j", "2")
        ended = run_isolatedunit(*flags, "--html", "page.html", cwd=directory.name)
        assert ended.exit_code == 1, ended.output
        cls.page = os.path.join(directory.name, "page.html")
        cls.browser = open_browser()
        cls.addClassCleanup(cls.browser.quit)

    def open(self, path: str, shown: str = "") -> None:
        self.browser.get("about:blank")  # another fragment alone would not load the page anew
        self.browser.get(f"file://{path}{shown}")
        self.wait_for("document.body.dataset.ready === 'yes'")

    def ask(self, expression: str) -> Any:
        return self.browser.execute_script(f"return {expression};")

    def wait_for(self, condition: str) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.browser, 60, 0.02).until(lambda _: self.ask(condition), condition)

    def texts(self, selector: str) -> list[str]:
        texts: list[str] = self.ask(f"[...document.querySelectorAll({selector!r})].map((one) => one.textContent)")
        return texts

    def names_shown(self) -> list[str]:
        return self.texts("#rows .leaf")

    def click(self, selector: str) -> None:
        self.browser.find_element("css selector", selector).click()

    def press(self, key: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.browser).send_keys(key).perform()

    def test_a_run_with_all_kinds_of_trouble(self) -> None:
        self.open(self.page)
        self.assertEqual(complaints(self.browser), [])
        self.assertEqual(self.texts("h1"), ["Failed 4 of 8 tests failed"])
        self.assertEqual(self.browser.title, "4 failed · Failed")
        self.assertIn(" --leaks warn -j 2 --html page.html", self.texts(".command code")[0])
        self.assertTrue(self.texts(".command code")[1].endswith(" --last-failed"))
        marks = [text[1:].strip() for text in self.texts("#counts button")]
        self.assertEqual(marks, ["1 failed", "3 errors", "1 flaky", "1 skipped", "2 passed", "1 leaked"])

        # failures first, each with the first words of why, and the first one is open beside them
        self.assertEqual(self.names_shown()[0], "test_fails")
        why = self.texts("#rows .why")
        self.assertEqual(why[0], "100 != 120")
        self.assertRegex(why[self.names_shown().index("test_hangs")], r"^timeout: The test did not finish within 2 s")
        self.assertEqual(self.texts("#name .leaf"), ["test_fails"])
        self.assertIn("leaked", self.texts("#rows .row:last-child .tag") + self.texts("#rows .tag"))

        self.click(".heads .test button")
        self.assertEqual(self.names_shown(), sorted(self.names_shown()))
        self.click(".heads .test button")
        self.assertEqual(self.names_shown(), sorted(self.names_shown(), reverse=True))
        self.assertEqual(self.ask("document.querySelector('.heads .test').getAttribute('aria-sort')"), "descending")
        self.click(".heads .outcome button")

        box = self.browser.find_element("id", "search")
        for text, names in (
            ("fails", ["test_fails"]),
            ("cause:timeout", ["test_hangs"]),
            ("is:leaky -fails", ["test_leaks"]),
            (">1s outcome:error", ["test_hangs"]),
            ("nothing of this name", []),
        ):
            with self.subTest(text):
                box.clear()
                box.send_keys(text)
                self.assertEqual(self.names_shown(), names)
        self.click(".empty button")
        self.click("#counts li:nth-child(3) button")
        self.assertEqual(self.names_shown(), ["test_flaky"])
        self.assertIn("outcome=flaky", self.ask("location.hash"))
        self.click("#counts li:nth-child(3) button")
        self.click(".tree ul ul .node")
        self.assertEqual((len(self.names_shown()), self.texts("#shown")), (8, ["8 of 8 tests"]))

    def test_one_test(self) -> None:
        self.open(self.page, "#test=test_shop.Shop.test_fails&outcome=failed,error")
        self.assertEqual(len(self.names_shown()), 4)
        for name, texts in (
            (
                "test_fails",
                ("AssertionError: 100 != 120", "- 100\n+ 120", "of the shop", "test_shop.py:12 in test_fails"),
            ),
            ("test_crashes", ("The test's process was killed by SIGABRT", "os.abort()", "cause: crash", "Attempt\n")),
            ("test_evil", ("</script><img src=x onerror=", r"\x1b[2J\ud800")),
            ("test_hangs", ("timeout", "The test did not finish within 2 s", "time.sleep(600)")),
        ):
            with self.subTest(name):
                shown = self.ask("document.querySelector('.panel').innerText")
                self.assertEqual(self.texts("#name .leaf"), [name])
                for text in (*texts, f"test_shop.Shop.{name}"):
                    self.assertIn(text, shown)
            self.press("j")
        self.assertNotEqual(self.browser.title, "owned")
        self.press("k")
        self.assertEqual(self.texts("#name .leaf"), ["test_evil"])
        self.ask("history.back()")
        self.wait_for("document.querySelector('#name .leaf').textContent === 'test_hangs'")
        self.click("#rows .row:nth-child(2) .leaf")
        self.ask("history.back()")
        self.wait_for("document.querySelector('#name .leaf').textContent === 'test_hangs'")
        link = self.ask("document.querySelector('.place').getAttribute('href')")
        self.assertEqual(link, f"vscode://file{os.path.realpath(os.path.dirname(self.page))}/test_shop.py:17")
        self.press("\ue00c")
        self.assertEqual(self.texts("#name"), [])
        self.assertEqual(self.ask("document.activeElement.className"), "name")
        self.open(self.page, "#test=test_shop.Shop.test_leaks")
        self.assertIn("test_shop.py:24 in test_leaks", self.texts(".panel .leaks")[0])

        self.press("/")
        self.assertEqual(self.ask("document.activeElement.id"), "search")
        self.press("\ue00c?")  # it would be a letter there, until Escape
        self.assertIn("previous failure", self.texts(".keys")[0])
        self.click(".editors button:nth-child(2)")
        self.press("\ue00c")
        self.addCleanup(self.browser.execute_script, "localStorage.clear()")
        self.press("j")
        self.assertRegex(self.ask("document.querySelector('.place').getAttribute('href')"), "^cursor://file/")

    def test_the_timeline_by_keyboard(self) -> None:
        from selenium.webdriver.common.keys import Keys

        self.open(self.page, "#view=timeline")
        timeline = self.browser.find_element("id", "timeline")
        hints = set()
        for _ in range(self.ask("Number(document.getElementById('timeline').dataset.slices)")):
            timeline.send_keys(Keys.ARROW_RIGHT)
            hints.update(self.texts("#hint"))
        self.assertGreaterEqual(len(hints), 8)
        self.assertTrue(
            any(re.search(r"test_hangs · error · timeout · [\d.]+ s from [\d.]+ m?s on", one) for one in hints), hints
        )
        timeline.send_keys(Keys.ENTER)
        self.assertEqual(len(self.texts("#name")), 1)
        scale = "document.getElementById('timeline').__zoom.k"
        timeline.send_keys("++")
        self.assertEqual(self.ask(scale), 4)
        timeline.send_keys("0")
        self.assertEqual(self.ask(scale), 1)
        self.click(".views a:nth-child(3)")
        self.assertRegex(self.texts("[aria-labelledby=slowest] li")[0], "test_shop.Shop.test_hangs.* s$")
        self.assertEqual(len(self.texts("[aria-labelledby=flakiest] li")), 1)

    def test_whoever_looks_at_it(self) -> None:
        self.addCleanup(show_as, self.browser, dark=False)
        self.open(self.page)
        for dark, width, shown in (
            (False, 360, "view=tests"),
            (True, 360, "view=tests&test=test_shop.Shop.test_fails"),
            (False, 1280, "view=timeline"),
            (True, 1280, "view=history&test=test_shop.Shop.test_flaky"),
        ):
            with self.subTest(dark=dark, width=width, shown=shown):
                show_as(self.browser, dark=dark, width=width)
                self.ask(f"void (location.hash = {shown!r})")
                self.wait_for(f"document.querySelector('.view.{shown[5:].partition('&')[0]}')")
                self.assertEqual(violations(self.browser), [])
                self.assertLessEqual(self.ask("document.documentElement.scrollWidth"), width)
        self.assertEqual(complaints(self.browser), [])

    def write_page(self, *reports: TestReport) -> str:
        """The page of a run in which each test took its process 0.03 s."""
        path = os.path.join(self.directory, "page.html")
        given = context(path)
        report, timeline = HtmlReport(given), given.timeline
        timeline.handle(RunStarted(ORIGIN.time, "run", len(reports), 4, "spawn"))
        for number, one in enumerate(reports):
            time = ORIGIN.time + number / 100
            timeline.handle(AttemptStarted(time, str(number), (one.id,)))
            timeline.handle(TestFinished(time + 0.02, one))
            timeline.handle(AttemptFinished(time + 0.03, str(number), (one.id,), 0.01, 0.03, 2**20, None))
        timeline.handle(RunFinished(timeline.last, ()))
        report.write()
        return path

    def test_a_phone_shows_the_ends_of_names_and_failures_at_once(self) -> None:
        long = "tests.shop.test_orders.OrdersOfTheShop.test_what_comes_of_an_order_that_is_"
        small, large = (TestReport(long + end, "failed", notes=(failure("no"),)) for end in ("small", "large"))
        self.addCleanup(show_as, self.browser, dark=False)
        show_as(self.browser, dark=False, width=360, height=700)
        self.open(self.write_page(small, large))
        # the ends of the names are in view, their beginnings are not; and so are the rows, without scrolling
        self.assertEqual(
            self.ask(
                "[...document.querySelectorAll('#rows .leaf')].map((one) => {"
                "  const name = one.getBoundingClientRect(), text = one.firstChild.getBoundingClientRect();"
                "  return [text.left < name.left - 50, text.right <= name.right + 1, name.bottom < 600]; })"
            ),
            [[True, True, True], [True, True, True]],
        )

    def test_runs_of_no_test_and_of_one(self) -> None:
        self.open(self.write_page())
        self.assertEqual(self.texts("h1"), ["Nothing ran no test was run"])
        self.assertEqual(self.browser.title, "0 tests · Nothing ran")
        self.assertIn("No test was run.", self.texts(".empty")[0])
        self.open(self.write_page(TestReport("m.C.test", "failed", notes=(failure(""),))))
        self.assertEqual(self.texts("#rows .why"), ["AssertionError"])
        self.open(self.write_page(TestReport("m.C.test", "passed")))
        self.assertEqual((self.texts("h1"), self.browser.title), (["Passed 1 test in 30 ms"], "1 test · Passed"))

    def test_the_history(self) -> None:
        runs = [RecordedRun(1e9 + number, number / 100, "passed", None) for number in range(1, 9)]
        bad, flaky = RecordedRun(2e9, 0.5, "failed", None), RecordedRun(2e9, 0.5, "passed", "flaky")
        tests = [
            TestHistory("m.C.test_well", tuple(runs), ""),
            TestHistory("m.C.test_flaky", (*runs, flaky), ""),
            TestHistory("m.C.test_bad", (*runs, bad, bad), EVIL),
        ]
        path = os.path.join(self.directory, "history.html")
        with open(path, "w", encoding="utf-8") as file:
            file.write(page_of({"kind": "history", **describe_past(tests, "history.sqlite3")}, "Test history"))
        self.open(path)
        self.assertEqual(self.names_shown(), ["test_bad", "test_flaky", "test_well"])
        self.assertIn("3 tests in history.sqlite3, last run ", self.texts(".top .facts")[0])
        self.assertEqual(self.texts("#rows .row:nth-child(3) .change"), ["+160 %"])
        self.click("#rows .leaf")
        self.assertIn("It has failed 2 times in a row, since ", self.texts(".panel .facts")[0])
        self.assertEqual(self.texts(".panel tbody .mark")[:3], ["✕", "✕", "✓"])
        self.assertEqual((self.browser.title, complaints(self.browser)), ("Test history", []))

    def test_texts_that_differ_and_what_was_attached(self) -> None:
        lines = [f"line {number} of it" for number in range(40)]
        first, second = ("\n".join([*lines[:20], f"line 20 of {word}", *lines[21:]]) for word in ("one", "two"))
        text = "'[cut]' != '[cut]'\n  line 19 of it\n- line 20 of one\n+ line 20 of two\n : of the shop"
        note = failure(text, expected=first, actual=second)
        contents = {"one.png": PIXEL, "it.log": b"a line"}
        attached = [Attachment(name, base64.b64encode(data).decode("ascii"), True) for name, data in contents.items()]
        attempt = replace(ATTEMPT, attachments=(*attached, Attachment("bad.png", "no base64!")))
        output = "plain \x1b[1;31mred\x1b[0m \x1b[2J"
        self.open(self.write_page(TestReport("m.C.test", "failed", notes=(note,), stdout=output, attempts=(attempt,))))
        shown = self.ask("document.querySelector('.diff pre').innerText").splitlines()
        self.assertEqual((shown[0], shown[1]), ("… 17 equal lines", "  line 17 of it"))
        self.assertEqual(self.texts(".diff mark"), ["one", "two"])
        self.assertEqual(self.texts(".said"), ["AssertionError: '[cut]' != '[cut]'\n : of the shop"])
        self.assertEqual(self.texts(".output .ansi-red.bold"), ["red"])
        self.assertIn(r"\x1b[2J", self.texts(".output")[1])
        self.wait_for("document.querySelector('.attachment img').naturalWidth === 1")
        self.assertEqual(self.texts(".attachment .output"), ["a line"])
        self.assertEqual(self.texts(".attachment a"), ["one.png", "it.log"])

    def test_thousands_of_tests(self) -> None:
        attempt = AttemptReport(
            1, "passed", None, 0, None, 7, 0.75, 0.1, None, 0.25, {"peak_rss": 2**20}, {}, "spawn", None
        )
        names = (f"package.module_{number % 100}.Case.test_{number}" for number in range(MANY))
        reports = (
            TestReport(
                name, "passed" if number % 7 else "failed", duration=(number + 1) * 2 / MANY, attempts=(attempt,)
            )
            for number, name in enumerate(names)
        )
        self.open(self.write_page(*reports))
        # modules of which something failed show their classes, but not all hundred, and nothing stretches the page
        self.assertEqual(len(self.texts(".tree li li")), 12)
        self.assertEqual(self.ask("document.documentElement.scrollHeight - innerHeight"), 0)
        # all of them are there, few of them as elements, and the last can be scrolled to
        self.assertLess(self.ask("document.querySelectorAll('#rows .row').length"), 100)
        self.assertEqual(self.ask("document.getElementById('tests').getAttribute('aria-rowcount')"), str(MANY + 1))
        self.click(".heads .time button")
        self.assertEqual(self.names_shown()[0], f"test_{MANY - 1}")
        self.ask("document.getElementById('scroll').scrollTo(0, 1e9)")
        self.wait_for("[...document.querySelectorAll('#rows .leaf')].at(-1).textContent === 'test_0'")
        self.browser.find_element("id", "search").send_keys("module_7. >1.9s")
        self.assertEqual(self.texts("#shown"), [f"{MANY // 2000} of {MANY:,} tests"])

    def open_audit(self, count: int) -> None:
        """Open the page of an audit with so many findings; there are twelve kinds of them."""
        path = os.path.join(self.directory, f"audit-{count}.html")
        document = document_of(make_findings(count))
        with open(path, "w", encoding="utf-8") as file:
            file.write(audit_page.page_of(document, "python -m isolatedunit audit --html audit.html"))
        self.browser.get(f"file://{path}")

    def test_an_audit_in_light_and_dark_wide_and_narrow(self) -> None:
        self.addCleanup(show_as, self.browser, dark=False)
        for count, dark, width in ((0, False, 390), (1, True, 1200), (24, False, 1200), (24, True, 390)):
            with self.subTest(count=count, dark=dark, width=width):
                self.open_audit(count)
                show_as(self.browser, dark=dark, width=width)
                self.assertEqual(violations(self.browser), [])
                self.assertEqual(complaints(self.browser), [])
                self.assertFalse(self.ask("document.documentElement.scrollWidth > innerWidth"))

    def test_an_edge_of_an_audit_leads_to_its_dependence_and_a_box_dims_the_edges_of_others(self) -> None:
        self.open_audit(24)
        self.ask("void document.querySelector('.box.right.r7').focus()")
        edges, own = (len(self.texts(selector)) for selector in (".edge", ".edge.r7"))
        dimmed = "[...document.querySelectorAll('.edge')].filter((one) => getComputedStyle(one).opacity < 1).length"
        self.assertEqual(self.ask(dimmed), edges - own)
        self.assertLess(own, edges)
        begin, end = self.browser.execute_script(
            "const edge = document.querySelector('.edge.r7'), name = (which) => document.querySelector(which).title;"
            "location.hash = edge.getAttribute('href');"
            "return [name('.box.r7'), document.querySelector(':target').innerText]"
        )
        self.assertIn(begin.partition(":")[0].rpartition(".")[2], end)

    @needs_server
    def test_a_run_that_goes_on(self) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        browser = self.browser
        live = self.begin()
        self.wait_for_running(live, "test_long", "test_stuck")
        browser.get(live.address)

        def shown() -> str:
            text: str = browser.execute_script("return document.body.innerText")
            return text

        wait_until(lambda: "test_it.It.test_stuck" in shown() and "Running now" in shown(), "what runs")
        self.assertEqual(violations(browser), [])
        self.assertRegex(self.texts("h1")[0], "^Running 1 of 3 tests")
        # no row is taken from under the mouse when the page is told more
        ActionChains(browser).move_to_element(
            browser.find_element("css selector", "#rows .leaf")
        ).click_and_hold().perform()
        for _ in range(2):
            ages = "document.getElementById('running').innerText"
            before = self.ask(ages)
            wait_until(lambda: self.ask(ages) != before, "an update")  # noqa: B023 - called at once
        ActionChains(browser).release().perform()
        self.assertEqual(self.texts("#name .leaf"), ["test_bad"])
        self.click("[aria-label='Stack: test_it.It.test_stuck']")
        wait_until(lambda: "in wait_for" in shown(), "the stack")
        self.assertEqual(self.texts("#name .leaf"), ["test_stuck"])
        self.click(".views a:nth-child(2)")
        self.assertEqual(self.ask("document.getElementById('timeline').dataset.running"), "2")
        self.click(".views a:nth-child(1)")
        self.click("[aria-label='Stop: test_it.It.test_stuck']")
        wait_until(lambda: "cancelled" in shown(), "the end of a test")
        self.go_on()
        wait_until(lambda: browser.execute_script("return document.body.dataset.state") == "over", "the end of the run")
        self.assertRegex(live.end(), r"1 passed, 2 failed, 0 skipped\n$")
        # the page goes on to work without its server
        self.assertEqual(self.texts("h1"), ["Failed 2 of 3 tests failed"])
        self.click("#rows .leaf")
        self.assertEqual(len(self.texts("#name")), 1)
        self.assertEqual([one for one in complaints(browser) if "favicon" not in one], [])
