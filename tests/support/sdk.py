"""Gives tests an SDK that is made up, with fixtures for it."""

from __future__ import annotations

import sys
import unittest
from typing import Any

from isolatedunit import (
    TestSDK,
    TestSDKFactory,
    TestSDKOptions,
)
from tests.support.paths import SAMPLES

FAKE = "fake_sdk:Client"


class SDKCase(unittest.TestCase):
    def setUp(self) -> None:
        sys.path.insert(0, SAMPLES)
        self.addCleanup(sys.path.remove, SAMPLES)

    def make(self, sdk: Any = FAKE, **values: Any) -> TestSDK:
        made = TestSDKFactory.create(TestSDKOptions(sdk=sdk, **values))
        self.addCleanup(made.close)
        return made


CALLERS = {"SSH_AUTH_SOCK": "/run/agent", "FAKE_TOKEN": "a-token-of-the-caller", "HARMLESS": "1"}
