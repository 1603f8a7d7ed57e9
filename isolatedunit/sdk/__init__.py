"""Fixtures for tests of an SDK: a client at one of four mock levels, its session and its credentials."""

from __future__ import annotations

from isolatedunit.sdk.adapter import SDKAdapter
from isolatedunit.sdk.factory import TestSDK, TestSDKFactory
from isolatedunit.sdk.options import TestSDKOptions
from isolatedunit.sdk.scripts import Script

__all__ = ["SDKAdapter", "Script", "TestSDK", "TestSDKFactory", "TestSDKOptions"]
