"""Attachments: without these tests, the screenshot of what went wrong could be lost on its way to the report."""

from __future__ import annotations

import base64

from tests.support.projects import ProjectTestCase


class AttachmentsTest(ProjectTestCase):
    def test_each_attempt_has_its_own_also_if_it_crashes(self) -> None:
        self.write(
            "test_it.py",
            """
            import os
            import unittest
            from isolatedunit import IsolatedTestCase, ipc

            class It(IsolatedTestCase):
                @classmethod
                def setUpClass(cls):
                    ipc.attach("class.bin", b"\\x00\\xff")

                def test(self):
                    self.attach("page.png", b"picture")
                    if not os.path.exists("been-here"):
                        os.close(os.open("been-here", os.O_CREAT))
                        os.abort()
                    self.attach("log", "a text: \u00e4")

            class Plain(unittest.TestCase):
                def test(self):
                    for name, data, text in ((1, b"", "an attachment is a name"), ("a", 1, "an attachment is a name")):
                        with self.assertRaisesRegex(TypeError, text):
                            ipc.attach(name, data)
                    with self.assertRaisesRegex(ValueError, "'large' has 16,777,217 bytes; the limit is 16,777,216"):
                        ipc.attach("large", bytes(16 * 1024 * 1024 + 1))
            """,
        )
        ended = self.run_here("--retries", "1")
        self.assertEqual(ended.exit_code, 0, ended.output)
        tests = ended.tests()
        found = [
            [(one["name"], one["type"], one["size"], base64.b64decode(one["data"])) for one in attempt["attachments"]]
            for attempt in tests["test_it.It.test"]["attempts"]
        ]
        always = [
            ("class.bin", "application/octet-stream", 2, b"\x00\xff"),
            ("page.png", "image/png", 7, b"picture"),
        ]
        self.assertEqual(found, [always, [*always, ("log", "text/plain", 10, "a text: \u00e4".encode())]])
        self.assertEqual(tests["test_it.Plain.test"]["attempts"][0]["attachments"], [])
