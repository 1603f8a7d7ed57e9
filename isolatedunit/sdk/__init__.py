"""Fixtures for tests of an SDK: a client at one of four mock levels, its session and its credentials."""

from __future__ import annotations

from isolatedunit.sdk.adapter import SDKAdapter
from isolatedunit.sdk.factory import TestSDK, TestSDKFactory
from isolatedunit.sdk.mocks import Script
from isolatedunit.sdk.options import TestSDKOptions

__all__ = ["SDKAdapter", "Script", "TestSDK", "TestSDKFactory", "TestSDKOptions"]
