"""The page of an audit in a browser: without these tests, it could be unreadable for some, or on a narrow screen."""

from __future__ import annotations

import os
import unittest
from typing import Any

from isolatedunit.audit.page import page_of
from tests.support.audit_documents import document_of, make_findings
from tests.support.browser import complaints, needs_browser, open_browser, show_as, violations
from tests.support.projects import ProjectTestCase


@needs_browser
class AuditPageTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.browser: Any = open_browser()
        self.addCleanup(self.browser.quit)

    def open(self, count: int) -> None:
        path = os.path.join(self.directory, f"audit-{count}.html")
        with open(path, "w", encoding="utf-8") as file:
            file.write(page_of(document_of(make_findings(count)), "python -m isolatedunit audit --html audit.html"))
        self.browser.get(f"file://{path}")

    def test_it_can_be_read_in_light_and_dark_wide_and_narrow(self) -> None:
        looks = (0, False, 390), (1, True, 1200), (60, False, 1200), (60, True, 390)
        for count, dark, width in looks:
            with self.subTest(count=count, dark=dark, width=width):
                self.open(count)
                show_as(self.browser, dark=dark, width=width)
                self.assertEqual(violations(self.browser), [])
                self.assertEqual(complaints(self.browser), [])
                wider = "return document.documentElement.scrollWidth > innerWidth"
                self.assertFalse(self.browser.execute_script(wider))

    def test_an_edge_leads_to_its_dependence_and_a_box_dims_the_edges_of_others(self) -> None:
        self.open(60)
        self.browser.execute_script("document.querySelector('.box.right.r7').focus()")
        dimmed = (
            "const edges = [...document.querySelectorAll('.edge')];"
            "return edges.filter((one) => getComputedStyle(one).opacity < 1).length"
        )
        edges = len(self.browser.find_elements("css selector", ".edge"))
        own = len(self.browser.find_elements("css selector", ".edge.r7"))
        self.assertEqual(self.browser.execute_script(dimmed), edges - own)
        begin, end = self.browser.execute_script(
            "const edge = document.querySelector('.edge.r7'), name = (which) => document.querySelector(which).title;"
            "location.hash = edge.getAttribute('href');"
            "return [name('.box.r7'), document.querySelector(':target').innerText]"
        )
        self.assertIn(begin.partition(":")[0].rpartition(".")[2], end)


if __name__ == "__main__":
    unittest.main()
