"""Tests an SDK at all four mock levels. Needs ``pip install 'isolatedunit[examples]'``."""

import importlib.util
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))

for needed in ("httpx", "vcr"):
    if importlib.util.find_spec(needed) is None:
        raise unittest.SkipTest(f"{needed} is not installed; pip install 'isolatedunit[examples]'")

sys.path.insert(0, HERE)

import httpx  # noqa: E402
import service  # noqa: E402

from isolatedunit import IsolatedTestCase, TestSDKOptions  # noqa: E402


class FullMockTest(IsolatedTestCase):
    """No HTTP: the client is a mock that refuses the calls that the real client would refuse."""

    sdk_options = TestSDKOptions(sdk="weather", replies={"execute": 20.0})

    def test_a_scripted_reply(self):
        self.assertEqual(self.sdk.execute_with_sdk("London"), 20.0)
        self.assertEqual(self.sdk.calls, [("execute", ("London",), {})])

    def test_a_call_that_the_real_client_would_refuse(self):
        with self.assertRaises(TypeError):
            self.sdk.client.execute("London", "and more")


class RecordedTest(IsolatedTestCase):
    """The real client, with HTTP replayed from a recording."""

    sdk_options = TestSDKOptions(sdk="weather", mock_level="recorded", cassette=os.path.join(HERE, "weather.yaml"))

    def test_what_was_recorded(self):
        self.assertEqual(self.sdk.execute_with_sdk("London"), 11.5)


class PartialMockTest(IsolatedTestCase):
    """The real client, connected to a real server that all tests share."""

    sdk_options = TestSDKOptions(sdk="weather", mock_level="partial_mock")

    def test_a_city(self):
        self.assertEqual(self.sdk.execute_with_sdk("Rome"), 19.0)

    def test_an_unknown_city(self):
        with self.assertRaises(httpx.HTTPStatusError):
            self.sdk.execute_with_sdk("Nowhere")

    def test_the_callers_key_is_out_of_sight(self):
        self.assertEqual(os.environ["WEATHER_API_KEY"], "good for nothing")


class RealTest(IsolatedTestCase):
    """The real client and a real service; here it is a local server, elsewhere the actual service."""

    sdk_options = TestSDKOptions(sdk="weather", mock_level="none", arguments={"base_url": "http://127.0.0.1:9"})

    def test_a_service_that_cannot_be_reached(self):
        with self.assertRaises(httpx.ConnectError):
            self.sdk.execute_with_sdk("London")

    def test_a_service_that_can(self):
        # the tracker closes what it is given when the test is done
        server = service.WeatherAdapter().start_local_server(self.handle_tracker)
        client = self.handle_tracker.track(service.weather.WeatherClient(**server))
        self.assertEqual(client.execute("London"), 11.5)
        client.close()
        self.handle_tracker.untrack(client)


if __name__ == "__main__":
    unittest.main()
