"""An adapter that starts PostgreSQL for psycopg. Needs ``pip install 'isolatedunit[examples]'``."""

import tempfile

import pgserver
import psycopg

from isolatedunit import SDKAdapter


class PostgreSQL(SDKAdapter):
    client_class = psycopg.connect

    def start_local_server(self, tracker):
        server = pgserver.get_server(tempfile.mkdtemp())
        tracker.track(server, close=server.cleanup)
        return {"conninfo": server.get_uri()}
