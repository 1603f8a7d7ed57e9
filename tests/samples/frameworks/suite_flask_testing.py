from urllib.request import urlopen

from flask import Flask, jsonify, render_template_string
from flask_testing import LiveServerTestCase, TestCase


def make():
    app = Flask(__name__)
    app.config.update(TESTING=True, LIVESERVER_PORT=0)

    @app.route("/")
    def index():
        return "index"

    @app.route("/json")
    def as_json():
        return jsonify(name="x")

    @app.route("/template")
    def template():
        return render_template_string("hello {{ name }}", name="you")

    return app


class AppTest(TestCase):
    def create_app(self):
        return make()

    def test_index(self):
        self.assert200(self.client.get("/"))

    def test_json(self):
        self.assertEqual(self.client.get("/json").json, {"name": "x"})

    def test_missing(self):
        self.assert404(self.client.get("/nowhere"))

    def test_not_allowed(self):
        self.assert405(self.client.post("/"))

    def test_context(self):
        self.assertEqual(self.client.get("/template").data, b"hello you")

    def test_fails(self):
        self.assert500(self.client.get("/"))

    def test_skipped(self):
        self.skipTest("not here")

    def test_app_is_new(self):
        self.assertNotIn("left", self.app.config)
        self.app.config["left"] = True

    def test_app_is_new_again(self):
        self.test_app_is_new()


class LiveTest(LiveServerTestCase):
    def create_app(self):
        return make()

    def test_server(self):
        with urlopen(self.get_server_url()) as response:
            self.assertEqual(response.read(), b"index")
