"""Tests a program that uses boto3, at all four mock levels. Needs ``pip install 'isolatedunit[examples]'``.

With ``partial_mock`` each test uses a moto server of its own on loopback, which the adapter starts.
"""

import importlib.util
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))

for needed in ("boto3", "moto", "flask", "vcr"):
    if importlib.util.find_spec(needed) is None:
        raise unittest.SkipTest(f"{needed} is not installed; pip install 'isolatedunit[examples]'")

sys.path.insert(0, HERE)

import botocore.exceptions  # noqa: E402
from buckets import Notes  # noqa: E402

from isolatedunit import IsolatedTestCase, SDKAdapter, TestSDKFactory, TestSDKOptions  # noqa: E402

NOT_RETRIED = {"AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true"}


class NotesAdapter(SDKAdapter):
    """Describes the boto3 program to isolatedunit."""

    client_class = Notes
    session_patterns = ("AWS_*", "BOTO_*")
    session_files = (".aws/credentials", ".aws/config")
    shares_server = False  # one test must not see the buckets of another

    def mock_environment(self):
        credentials = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
        return {**credentials, **NOT_RETRIED}

    def start_local_server(self, tracker):
        from moto.server import ThreadedMotoServer

        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        tracker.track(server, close=server.stop)
        host, port = server.get_host_and_port()
        return {"endpoint_url": f"http://{host}:{port}"}


TestSDKFactory.register("notes", NotesAdapter())


class FullMockTest(IsolatedTestCase):
    sdk_options = TestSDKOptions(sdk="notes", replies={"execute": 7, "names": ["a", "b"]})

    def test_no_request_is_made(self):
        self.assertEqual(self.sdk.execute_with_sdk("remember"), 7)
        self.assertEqual(self.sdk.client.names(), ["a", "b"])


class RecordedTest(IsolatedTestCase):
    sdk_options = TestSDKOptions(
        sdk="notes",
        mock_level="recorded",
        cassette=os.path.join(HERE, "notes.yaml"),
        arguments={"endpoint_url": "http://127.0.0.1:5000"},
    )

    def test_what_was_recorded(self):
        self.assertEqual(self.sdk.client.names(), ["note-1"])


class PartialMockTest(IsolatedTestCase):
    process_timeout = 60.0
    sdk_options = TestSDKOptions(sdk="notes", mock_level="partial_mock")

    def setUp(self):
        self.sdk.client.prepare()

    def test_notes_are_kept(self):
        self.assertEqual([self.sdk.execute_with_sdk("one"), self.sdk.execute_with_sdk("two")], [1, 2])
        self.assertEqual(self.sdk.client.names(), ["note-1", "note-2"])

    def test_no_test_sees_the_others_notes(self):
        self.assertEqual(self.sdk.client.names(), [])


class RealTest(IsolatedTestCase):
    sdk_options = TestSDKOptions(sdk="notes", mock_level="none", arguments={"endpoint_url": "http://127.0.0.1:9"})

    def test_a_service_that_cannot_be_reached(self):
        with self.assertRaises(botocore.exceptions.EndpointConnectionError):
            self.sdk.client.names()


if __name__ == "__main__":
    unittest.main()
