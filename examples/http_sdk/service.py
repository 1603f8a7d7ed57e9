"""A local replacement for the weather service, and the adapter that starts it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import weather

from isolatedunit import SDKAdapter, TestSDKFactory

TEMPERATURES = {"London": 11.5, "Rome": 19.0}


class Handler(BaseHTTPRequestHandler):
    """Answers requests like the real service."""

    def do_GET(self):
        city = self.path.rpartition("/")[2]
        is_known = city in TEMPERATURES
        is_allowed = self.headers.get("Authorization", "").startswith("Bearer ")
        status = 401 if not is_allowed else 200 if is_known else 404
        body = json.dumps({"temperature": TEMPERATURES[city]} if status == 200 else {}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Log nothing."""


class WeatherAdapter(SDKAdapter):
    """Describes the weather SDK to isolatedunit."""

    client_class = weather.WeatherClient
    session_patterns = ("WEATHER_*",)

    def mock_environment(self):
        return {"WEATHER_API_KEY": "good for nothing"}

    def start_local_server(self, tracker):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        def stop():
            server.shutdown()
            thread.join()
            server.server_close()

        tracker.track(server, close=stop)
        return {"base_url": f"http://127.0.0.1:{server.server_address[1]}"}


TestSDKFactory.register("weather", WeatherAdapter())
