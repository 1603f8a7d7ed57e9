"""Without these, --coverage could leave out files that a configuration asks for, or look for all of them twice."""

from __future__ import annotations

import os
from typing import Any
from unittest import mock

from isolatedunit.instrumentation import coverage
from tests.support.optional import optional
from tests.support.projects import ProjectTestCase

LIBRARY: Any = optional("coverage")


class OwnFilesTest(ProjectTestCase):
    """Whether isolatedunit's own files are measured is decided by the configuration of the project."""

    def setUp(self) -> None:
        super().setUp()
        if LIBRARY is None:
            self.skipTest("needs coverage: pip install 'isolatedunit[coverage]'")
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.directory)

    def test_they_are_left_out_unless_they_are_asked_for(self) -> None:
        for line, measured in (
            ("branch = True", False),
            ("source_pkgs = other", False),
            ("source_pkgs = other, isolatedunit", True),
            ("include = */isolatedunit_tools/*", False),
            ("include = */isolatedunit/*", True),
            ("include = src\\isolatedunit\\*", True),
        ):
            with self.subTest(line), mock.patch.object(LIBRARY.Coverage, "start"):
                self.write(".coveragerc", f"[run]\nomit = other\n{line}\n")
                omitted = coverage.begin(self.directory).get_option("run:omit")
                self.assertEqual(omitted, ["other"] if measured else ["other", coverage.OWN_FILES])


class SaveTest(ProjectTestCase):
    def test_the_data_is_asked_for_once(self) -> None:
        """Each time, coverage.py goes through all files that could have been measured."""
        measurement = mock.Mock()
        coverage.save(measurement)
        data = mock.call.get_data()
        self.assertEqual(measurement.mock_calls, [data, data.write(), data.close()])
