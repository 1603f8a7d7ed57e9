import unittest

import requests
import responses


class ResponsesTest(unittest.TestCase):
    @responses.activate
    def test_get(self):
        responses.get("http://example.test/a", json={"a": 1})
        self.assertEqual(requests.get("http://example.test/a", timeout=5).json(), {"a": 1})

    @responses.activate
    def test_unknown(self):
        requests.get("http://example.test/unknown", timeout=5)

    @responses.activate
    def test_status(self):
        responses.get("http://example.test/b", status=503)
        self.assertEqual(requests.get("http://example.test/b", timeout=5).status_code, 503)

    @responses.activate(assert_all_requests_are_fired=True)
    def test_not_fired(self):
        responses.get("http://example.test/c")

    @responses.activate
    def test_callback(self):
        responses.add_callback("GET", "http://example.test/d", lambda request: (200, {}, request.method))
        self.assertEqual(requests.get("http://example.test/d", timeout=5).text, "GET")

    @responses.activate
    def test_error(self):
        responses.get("http://example.test/e", body=requests.ConnectionError("gone"))
        with self.assertRaises(requests.ConnectionError):
            requests.get("http://example.test/e", timeout=5)

    @responses.activate
    def test_calls(self):
        responses.get("http://example.test/f")
        requests.get("http://example.test/f", timeout=5)
        self.assertEqual(len(responses.calls), 1)

    @responses.activate
    def test_calls_are_new(self):
        self.assertEqual(len(responses.calls), 0)

    def test_context(self):
        with responses.RequestsMock() as mock:
            mock.get("http://example.test/g", body="g")
            self.assertEqual(requests.get("http://example.test/g", timeout=5).text, "g")

    def test_left_started(self):
        mock = responses.RequestsMock()
        mock.start()
        mock.get("http://example.test/h", body="h")
        self.assertEqual(requests.get("http://example.test/h", timeout=5).text, "h")
