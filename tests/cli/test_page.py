"""The page in a browser: without these tests, it could show a run wrongly, or not to everybody."""

from __future__ import annotations

import os
import re
import tempfile
import textwrap
from typing import Any, ClassVar

from isolatedunit.model.events import AttemptFinished, AttemptStarted, RunStarted, TestFinished
from isolatedunit.model.results import AttemptReport, TestReport
from isolatedunit.reporters.web.page import HtmlReport
from tests.support.browser import complaints, needs_browser, open_browser, show_as, violations
from tests.support.command_line import run_isolatedunit
from tests.support.events import ORIGIN, context
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
    """One browser, and the page of one run, for all of these tests: each of them opens it anew."""

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

    def open(self, path: str) -> None:
        self.browser.get(f"file://{path}")
        self.wait_for("document.body.dataset.ready === 'yes'")

    def ask(self, expression: str) -> Any:
        return self.browser.execute_script(f"return {expression};")

    def wait_for(self, condition: str) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.browser, 60, 0.02).until(lambda _: self.ask(condition), condition)

    def names_shown(self) -> list[str]:
        names: list[str] = self.ask("[...document.querySelectorAll('#rows button')].map((one) => one.textContent)")
        return [name.rpartition(".")[2] for name in names]

    def click(self, selector: str) -> None:
        self.browser.find_element("css selector", selector).click()

    def test_a_run_with_all_kinds_of_trouble(self) -> None:
        self.open(self.page)
        self.assertEqual(complaints(self.browser), [])
        self.assertNotEqual(self.browser.title, "owned")
        counts = self.ask(
            "[...document.querySelectorAll('#counts li')].map((one) => one.innerText.replace('\\n', ' '))"
        )
        self.assertEqual(counts, ["8 tests", "2 passed", "1 skipped", "1 flaky", "3 error", "1 failed"])
        self.assertEqual(self.ask("document.querySelectorAll('#flakiest li').length"), 1)

        self.assertEqual(self.browser.title, "4 failed · Test run")

        # failures first, and then by name, each with the first words of why
        self.assertEqual(self.names_shown()[0], "test_fails")
        why = self.ask("[...document.querySelectorAll('#rows .why')].map((one) => one.textContent)")
        self.assertEqual(why[0], "100 != 120")
        self.assertRegex(why[self.names_shown().index("test_hangs")], r"^timeout: The test did not finish within 2 s")
        self.click("#heads th:nth-child(2) button")
        self.assertEqual(self.names_shown(), sorted(self.names_shown()))
        self.click("#heads th:nth-child(2) button")
        self.assertEqual(self.names_shown(), sorted(self.names_shown(), reverse=True))
        self.assertEqual(
            self.ask("document.querySelector('#heads th:nth-child(2)').getAttribute('aria-sort')"), "descending"
        )

        for text, names in (("fails", ["test_fails"]), ("timeout", ["test_hangs"]), ("nothing of this name", [])):
            box = self.browser.find_element("id", "search")
            box.clear()
            box.send_keys(text)
            self.assertEqual(self.names_shown(), names)
        box.clear()
        box.send_keys(" \b")
        self.click("#show-passed")
        self.assertNotIn("test_passes", self.names_shown())

    def test_one_test(self) -> None:
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys

        self.open(self.page)
        for name, texts in (
            ("test_fails", ("AssertionError: 100 != 120", "output of the shop", "Attempts")),
            ("test_hangs", ("timeout", "The test did not finish within 2 s", "in test_hangs")),
            ("test_leaks", ("Left behind", "test_shop.py:24 in test_leaks")),
            ("test_evil", ("</script><img src=x onerror=", r"\x1b[2J\ud800")),
            ("test_crashes", ("SIGABRT", "crash")),
        ):
            with self.subTest(name):
                button = self.browser.find_element("css selector", f"#rows button[title$='{name}']")
                button.send_keys(Keys.ENTER)
                shown = self.ask("document.querySelector('dialog[open]').innerText")
                for text in texts:
                    self.assertIn(text, shown)
                self.assertEqual(violations(self.browser), [])
                ActionChains(self.browser).send_keys(Keys.ESCAPE).perform()
                self.assertIsNone(self.ask("document.querySelector('dialog[open]')"))

    def test_the_timeline_by_keyboard(self) -> None:
        from selenium.webdriver.common.keys import Keys

        self.open(self.page)
        timeline = self.browser.find_element("id", "timeline")
        hints = set()
        for _ in range(self.ask("data.slices.length")):
            timeline.send_keys(Keys.ARROW_RIGHT)
            hints.add(self.ask("document.getElementById('hint').textContent"))
        self.assertGreaterEqual(len(hints), 8)
        self.assertTrue(
            any(re.search(r"test_hangs · error · timeout · [\d.]+ s, starting at [\d.]+ s", one) for one in hints),
            hints,
        )
        timeline.send_keys(Keys.ENTER)
        self.assertTrue(self.ask("document.querySelector('dialog[open]') !== null"))

    def test_whoever_looks_at_it(self) -> None:
        self.open(self.page)
        for dark in (False, True):
            for width in (360, 1280):
                with self.subTest(dark=dark, width=width):
                    show_as(self.browser, dark=dark, width=width)
                    self.assertEqual(violations(self.browser), [])
                    self.assertLessEqual(self.ask("document.documentElement.scrollWidth"), width)
        self.assertEqual(complaints(self.browser), [])

    def test_names_can_be_told_apart_on_a_phone(self) -> None:
        self.write(
            "test_it.py",
            """
            import unittest

            class ItWithAName(unittest.TestCase):
                def test_what_comes_of_an_order_that_is_small(self): pass
                def test_what_comes_of_an_order_that_is_large(self): pass
            """,
        )
        self.run_here("--html", "page.html")
        self.open(os.path.join(self.directory, "page.html"))
        show_as(self.browser, dark=False, width=360)
        self.addCleanup(show_as, self.browser, dark=False)
        # the ends of the names are in view, their beginnings are not
        self.assertEqual(
            self.ask(
                "[...document.querySelectorAll('#rows .name')].map((one) => {"
                "  const name = one.getBoundingClientRect(), text = one.firstChild.getBoundingClientRect();"
                "  return [text.left < name.left - 50, text.right <= name.right + 1]; })"
            ),
            [[True, True], [True, True]],
        )

    def test_twenty_thousand_tests(self) -> None:
        path = os.path.join(self.directory, "page.html")
        given = context(path)
        report, timeline = HtmlReport(given), given.timeline
        timeline.handle(RunStarted(ORIGIN.time, "run", 20_000, 4, "spawn"))
        attempt = AttemptReport(
            1, "passed", None, 0, None, 7, 0.75, 0.1, None, 0.25, {"peak_rss": 2**20}, {}, "spawn", None
        )
        for number in range(20_000):
            time, test = ORIGIN.time + number / 100, f"package.module_{number % 100}.Case.test_{number}"
            timeline.handle(AttemptStarted(time, str(number), (test,)))
            timeline.handle(
                TestFinished(time + 0.02, TestReport(test, "passed", duration=(number + 1) / 1e4, attempts=(attempt,)))
            )
            timeline.handle(AttemptFinished(time + 0.03, str(number), (test,), 0.01, 0.03, 2**20, None))
        report.write()
        self.open(path)
        # all of them are there, few of them as elements, and the last can be scrolled to
        self.assertLess(self.ask("document.querySelectorAll('#rows tr').length"), 100)
        self.assertEqual(self.ask("document.getElementById('tests').getAttribute('aria-rowcount')"), "20001")
        self.click("#heads th:nth-child(3) button")
        self.assertEqual(self.names_shown()[0], "test_19999")
        self.ask("document.getElementById('scroll').scrollTo(0, 1e9)")
        self.wait_for("[...document.querySelectorAll('#rows button')].at(-1).textContent.endsWith('.test_0')")

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
        # what runs is in the timeline, and no row is taken from under the mouse when the page is told more
        self.assertEqual(
            browser.execute_script("return slicesOf().filter((one) => one.outcome === 'running').length"), 2
        )
        ActionChains(browser).move_to_element(
            browser.find_element("css selector", "#rows button")
        ).click_and_hold().perform()
        for _ in range(2):
            browser.execute_script("window.taken = lanes.running")
            wait_until(lambda: browser.execute_script("return window.taken !== lanes.running && !redraw"), "an update")
        ActionChains(browser).release().perform()
        self.assertTrue(browser.execute_script("return document.querySelector('dialog[open]') !== null"))
        browser.find_element("css selector", "dialog[open] .act:last-child").click()
        browser.find_element("css selector", "[aria-label='Stack: test_it.It.test_stuck']").click()
        wait_until(lambda: "in wait_for" in shown(), "the stack")
        browser.find_element("css selector", "dialog[open] .act").click()
        browser.find_element("css selector", "[aria-label='Stop: test_it.It.test_stuck']").click()
        wait_until(lambda: "cancelled" in shown(), "the end of a test")
        self.go_on()
        wait_until(lambda: browser.execute_script("return document.body.dataset.state") == "over", "the end of the run")
        self.assertRegex(live.end(), r"1 passed, 2 failed, 0 skipped\n$")
        # the page goes on to work without its server
        counts = browser.execute_script("return document.getElementById('counts').innerText.replace(/\\n/g, ' ')")
        self.assertIn("3 tests 1 passed", counts)
        browser.find_element("css selector", "#rows button").click()
        self.assertTrue(browser.execute_script("return document.querySelector('dialog[open]') !== null"))
        self.assertEqual([one for one in complaints(browser) if "favicon" not in one], [])
