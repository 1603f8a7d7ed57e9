"""What a module begins with: without these tests, modules could share what one of them does not import."""

from __future__ import annotations

import unittest

from isolatedunit.child.import_prefix import _head_of

REST = "import b\nimport c\n"


class HeadTest(unittest.TestCase):
    def test_it_ends_where_code_begins(self) -> None:
        for code in ("if __name__ == 'x':", "if sys.argv:", "class A:", "try:", "if __name__ == '__main__' or True:"):
            with self.subTest(code):
                self.assertEqual(_head_of(f"import a\n{code}\n    import x\n{REST}"), "import a\npass\n")

    def test_a_block_for_scripts_is_left_out(self) -> None:
        for code in ("if __name__ == '__main__':", 'if __name__ == "__main__":  # why'):
            with self.subTest(code):
                head = _head_of(f"import a\n{code}\n    import x\n\n# comment\n\tx()\n{REST}class A:\n    pass\n")
                self.assertEqual(head.split("\n"), ["import a", *[""] * 5, "import b", "import c", "pass", ""])

    def test_one_with_another_branch_is_code(self) -> None:
        head = _head_of(f"import a\nif __name__ == '__main__':\n    import x\nelse:\n    import y\n{REST}")
        with self.assertRaises(SyntaxError):  # so nothing is shared
            compile(head, "test_x.py", "exec")
