"""Diffs of the walk-throughs: without these tests, one could be applied in the wrong place, or in part."""

from __future__ import annotations

import os

from tests.support.diffs import DoesNotApply, read_diff
from tests.support.projects import ProjectTestCase

DIFF = """\
diff --git a/code/old.py b/code/old.py
index 1111111..2222222 100644
--- a/code/old.py
+++ b/code/old.py
@@ -1,3 +1,3 @@ def before():
 one
-two
+deux
 three
@@ -8 +8,2 @@
 eight
+nine
diff --git a/code/empty.py b/code/empty.py
new file mode 100644
index 0000000..e69de29
diff --git a/more/new.py b/more/new.py
new file mode 100644
index 0000000..3333333
--- /dev/null
+++ b/more/new.py
@@ -0,0 +1 @@
+new
"""


class DiffsTest(ProjectTestCase):
    def apply(self, text: str) -> None:
        for changed in read_diff(text):
            changed.apply(self.directory)

    def read(self, name: str) -> str:
        with open(os.path.join(self.directory, name), encoding="utf-8") as file:
            return file.read()

    def test_lines_are_found_where_they_are_by_now(self) -> None:
        self.write("code/old.py", "zero\none\ntwo\nthree\nfour\neight\n")
        self.apply(DIFF)
        self.assertEqual(self.read("code/old.py"), "zero\none\ndeux\nthree\nfour\neight\nnine\n")
        self.assertEqual((self.read("code/empty.py"), self.read("more/new.py")), ("", "new\n"))

    def test_what_it_touches(self) -> None:
        found = [(one.path, one.is_new, one.added) for one in read_diff(DIFF)]
        expected = [
            ("code/old.py", False, ["deux", "nine"]),
            ("code/empty.py", True, []),
            ("more/new.py", True, ["new"]),
        ]
        self.assertEqual(found, expected)

    def test_what_has_changed_is_named(self) -> None:
        for text, problem in (
            ("one\n2\nthree\neight\n", "code/old.py has these lines 0 times:\none\ntwo\nthree\n"),
            ("one\ntwo\nthree\neight\neight\n", "code/old.py has these lines 2 times:\neight\n"),
        ):
            self.write("code/old.py", text)
            with self.subTest(text), self.assertRaisesRegex(DoesNotApply, problem):
                self.apply(DIFF)
            self.assertEqual(self.read("code/old.py"), text)
        os.unlink(os.path.join(self.directory, "code", "old.py"))
        with self.assertRaisesRegex(DoesNotApply, "there is no code/old.py any more"):
            self.apply(DIFF)
        self.write("code/old.py", "one\ntwo\nthree\neight\n")
        self.write("more/new.py", "")
        with self.assertRaisesRegex(DoesNotApply, "more/new.py exists already"):
            self.apply(DIFF)

    def test_what_is_no_such_diff_is_refused(self) -> None:
        for old, new in (
            ("@@ -8 +8,2 @@", "@@ -8 +8,3 @@"),
            ("@@ -1,3", "@@ 1,3"),
            ("new file mode", "deleted file mode"),
        ):
            with self.subTest(new), self.assertRaises(ValueError):
                read_diff(DIFF.replace(old, new))
