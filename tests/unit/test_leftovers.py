"""Without these, something that a test left behind could be counted twice, or be lost between those who found it."""

from __future__ import annotations

import unittest

from isolatedunit.engine.attempt.leftovers import Leftovers
from isolatedunit.model.results import ExitStatus

THREAD = {"kind": "thread", "identity": "Thread-1"}
SLEEP = {"kind": "process", "identity": "sleep 60 (process 7)"}
GONE = ExitStatus(
    exit_code=0, leftovers=({"pid": 7, "command": "sleep 60"}, {"pid": None, "command": "(in the group)"})
)


class LeftoversTest(unittest.TestCase):
    def setUp(self) -> None:
        self.found = Leftovers()

    def test_nobody_has_looked(self) -> None:
        self.found.note_found_by_child({})
        self.found.note_end(ExitStatus(exit_code=0))
        self.found.allow([])
        self.assertEqual((self.found.stats, self.found.leaks), ({}, []))

    def test_nothing_was_found(self) -> None:
        self.found.note_clean()
        self.assertEqual(self.found.stats, {"leaked": 0, "by_kind": {}, "leaks": []})

    def test_what_the_child_and_its_parent_both_found_counts_once(self) -> None:
        self.found.note_found_by_child({"leaks": [THREAD, SLEEP], "opened": 5})
        self.found.note_end(GONE)
        self.assertEqual(
            [leak["identity"] for leak in self.found.leaks], ["Thread-1", SLEEP["identity"], "(in the group)"]
        )
        self.assertEqual(self.found.stats["by_kind"], {"thread": 1, "process": 2})
        self.assertEqual((self.found.stats["leaked"], self.found.stats["opened"]), (3, 5))

    def test_a_process_that_ends_while_it_is_described_is_still_that_process(self) -> None:
        self.found.note_found_by_child({"leaks": [SLEEP]})
        self.found.note_end(ExitStatus(exit_code=0, leftovers=({"pid": 7, "command": ""}, {"pid": 8, "command": ""})))
        self.assertEqual([leak["identity"] for leak in self.found.leaks], [SLEEP["identity"], "? (process 8)"])

    def test_files_and_processes_that_a_lane_found(self) -> None:
        changed = {"file": "/etc/passwd", "change": "deleted"}
        self.found.note_end(ExitStatus(exit_code=0, leftovers=({"pid": 7, "command": "sleep"}, changed)))
        self.assertEqual(self.found.stats["by_kind"], {"files": 1, "process": 1})
        self.assertEqual(
            sorted(leak["identity"] for leak in self.found.leaks), ["/etc/passwd (deleted)", "sleep (process 7)"]
        )

    def test_a_file_is_told_in_one_line_and_those_that_are_only_counted_without_a_change(self) -> None:
        files = {"file": "/a\nb", "change": "new"}, {"file": "2 more files", "change": ""}
        self.found.note_end(ExitStatus(exit_code=0, leftovers=files))
        self.assertEqual([leak["identity"] for leak in self.found.leaks], ["/a\\nb (new)", "2 more files"])

    def test_a_child_that_comes_to_its_end_late_takes_nothing_back(self) -> None:
        self.found.note_no_end(10.0)
        self.found.note_found_by_child({"leaks": [THREAD]})
        self.assertEqual(self.found.stats["by_kind"], {"exit": 1, "thread": 1})

    def test_counts_of_a_child_are_not_believed(self) -> None:
        said = {"leaked": 9, "by_kind": {"x": 9}, "opened": "many", "leaks": [THREAD, 5, {"kind": "x"}, {"kind": 1}]}
        self.found.note_found_by_child({**said, "state_changes": [{"what": 1}, {"what": "cwd"}]})
        self.assertEqual(
            self.found.stats,
            {"leaked": 1, "by_kind": {"thread": 1}, "leaks": [THREAD], "state_changes": [{"what": "cwd"}]},
        )

    def test_what_is_allowed_is_set_aside_with_its_reason(self) -> None:
        self.found.note_found_by_child({"leaks": [THREAD, SLEEP]})
        self.found.allow([{**THREAD, "reason": "a cache"}])
        self.assertEqual(self.found.leaks, [SLEEP])
        self.assertEqual(self.found.stats["allowed"], [{**THREAD, "reason": "a cache"}])
        self.assertEqual((self.found.stats["leaked"], self.found.stats["by_kind"]), (1, {"process": 1}))


if __name__ == "__main__":
    unittest.main()
