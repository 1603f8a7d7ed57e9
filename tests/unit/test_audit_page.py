"""The page of an audit: without these tests, it could leave out a dependence, or run what a test has written."""

from __future__ import annotations

import re
import unittest
from dataclasses import replace
from itertools import pairwise

from isolatedunit.audit.page import page_of
from tests.support.audit_documents import document_of, make_findings
from tests.support.page import EVIL, Data


def edges_in(page: str) -> list[tuple[str, str, str]]:
    """The edges as the box at the left, the one at the right and the place to which they lead."""
    return re.findall(r'<a class="edge (l\d+) (r\d+) [^"]*" href="#([^"]+)"', page)


class AuditPageTest(unittest.TestCase):
    def test_each_dependence_is_an_edge_that_leads_to_what_is_known_of_it(self) -> None:
        findings = make_findings(60)
        page = page_of(document_of(findings))
        edges = edges_in(page)
        self.assertEqual(len(edges), sum(len(finding.steps) for finding in findings))
        boxes = dict(re.findall(r'class="box \w+ (\w+)" [^>]* title="([^:"]+): ', page))
        drawn = {(boxes[begin], boxes[end]) for begin, end, _ in edges}
        self.assertEqual(drawn, {(step.id, one.test.id) for one in findings for step in one.steps})
        for _, _, target in edges:
            self.assertEqual(page.count(f' id="{target}"'), 1, target)
        for finding in findings:
            self.assertIn(finding.test.id.rpartition(".")[2], page.partition('<section class="card"')[2])

    def test_boxes_do_not_cover_each_other(self) -> None:
        page = page_of(document_of(make_findings(60)))
        for side in ("left", "right"):
            tops = sorted(int(top) for top in re.findall(rf'class="box {side} \w+" style="top:(\d+)px"', page))
            self.assertGreater(len(tops), 10)
            self.assertGreaterEqual(min(below - above for above, below in pairwise(tops)), 44)

    def test_only_what_one_change_was_put_back_for_is_drawn_as_proved(self) -> None:
        first, second = make_findings(2)
        second.states = [replace(second.states[0], flipped=0)]
        classes = re.findall(r'<a class="edge \w+ \w+ ([^"]+)"', page_of(document_of([first, second])))
        self.assertEqual(sorted(classes), ["failed", "failed dashed"])

    def test_tests_that_one_step_changes_different_things_for_have_different_causes(self) -> None:
        first, second, third = make_findings(3)
        third.states = [replace(third.states[0], where="shop.currency")]
        page = page_of(document_of([first, second, third]))
        self.assertEqual(page.count('<section class="card"'), 2)
        self.assertEqual(len(edges_in(page)), 3)

    def test_what_a_test_has_written_is_text(self) -> None:
        page = page_of(document_of(make_findings(12, EVIL), notes=[EVIL], not_looked_at=[EVIL]), EVIL)
        data = Data(page)
        self.assertFalse({"script", "img", "link", "iframe"} & set(data.elements))
        self.assertEqual(data.elements.count("style"), 1)
        self.assertIn("content=\"default-src 'none'; ", page)
        self.assertNotRegex(page, r"https?://|url\(|@import")
        self.assertTrue(page.encode("utf-8"))

    def test_it_says_whether_tests_depend_on_others_and_clears_nobody_early(self) -> None:
        for more, badge in (
            ({}, "Independent"),
            ({"not_looked_at": ["m.C.t"]}, "Unfinished"),
            ({"cut_off": True}, "Unfinished"),
        ):
            page = page_of(document_of([], **more))
            self.assertRegex(page, rf'<span class="badge \w+">{badge}</span> 0 of 500 tests depend on others')
            self.assertIn("Nothing was found.", page)
        self.assertIn(">Dependent</span> 1 of 500 tests depends on others", page_of(document_of(make_findings(1))))
        (flaky,) = (finding for finding in make_findings(12) if finding.kind == "flaky")
        self.assertIn(">Independent</span> 0 of 500", page_of(document_of([flaky])))


if __name__ == "__main__":
    unittest.main()
