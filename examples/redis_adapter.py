"""An adapter that starts a server for redis. Needs ``pip install 'isolatedunit[examples]'``."""

import threading

import fakeredis
import redis

from isolatedunit import SDKAdapter


class Redis(SDKAdapter):
    client_class = redis.Redis

    def start_local_server(self, tracker):
        server = fakeredis.TcpFakeServer(("127.0.0.1", 0))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tracker.track(server, close=lambda: (server.shutdown(), server.server_close()))
        return {"port": server.server_address[1]}
