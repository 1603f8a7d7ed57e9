"""Shares a resource between isolated tests: the runner hosts it once, and each test asks for its part.

The resource is an allocator of ports and database names. It lives in the runner's process, so two tests that
run at the same time never get the same port or name.
"""

import itertools
import socket

from isolatedunit import IsolatedTestRunner


class Allocator:
    """Gives each test a free port and a database of its own."""

    def __init__(self):
        self._given = set()
        self._numbers = itertools.count(1)

    def port(self, _):
        """Return a free port that no other test has."""
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            if port not in self._given:
                self._given.add(port)
                return port

    def database(self, test):
        """Return a database name for this test that no other test has."""
        return f"{test}_{next(self._numbers):03}"


def serve(test, name):
    port = test.ipc.request("port")
    database = test.ipc.request("database", name)
    with socket.create_server(("127.0.0.1", port)):
        test.ipc.progress(1.0, f"served {database}")
    return port, database


def main():
    allocator = Allocator()
    with IsolatedTestRunner(max_concurrent_processes=4) as runner:
        runner.on_request("port", allocator.port)
        runner.on_request("database", allocator.database)
        results = [result.test_results for result in runner.map(serve, ["orders", "users", "orders", "stock"])]
    print("ports differ:", len({port for port, _ in results}) == len(results))
    print("databases:", ", ".join(sorted(database.rpartition("_")[2] for _, database in results)))


if __name__ == "__main__":
    main()
