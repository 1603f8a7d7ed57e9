"""Django on PostgreSQL: without these tests, tests on a server could meet in one database, or leave some behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import unittest
from typing import Any

from tests.process.test_django import TESTS
from tests.support import django_project
from tests.support.command_line import Completed, environment, run_python
from tests.support.optional import optional
from tests.support.projects import ProjectTestCase
from tests.support.waiting import wait_until

PORT = os.environ.get("POSTGRESQL_PORT")

SETTINGS = """
    import os

    SECRET_KEY = "x"
    USE_TZ = True
    INSTALLED_APPS = ["shop", "isolatedunit.django"]
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ["DEVELOPMENT"],
            "USER": "tests",
            "HOST": "127.0.0.1",
            "PORT": os.environ["POSTGRESQL_PORT"],
        },
    }
    ROOT_URLCONF = "shop.urls"
    STATIC_URL = "static/"
    """

LASTING = """
    import time
    from django.test import TransactionTestCase
    from shop.models import Item

    class LastingTest(TransactionTestCase):
        def test_it(self):
            Item.objects.create(name="left")
            open("running", "w").close()
            time.sleep(600)
    """

TRAP = """
    import os
    from django.db import connections
    from django.db.utils import ConnectionHandler
    from django.test import TestCase

    class TrapTest(TestCase):
        def test_it(self):
            settings = dict(connections.settings["default"], NAME=os.environ["DEVELOPMENT"])
            ConnectionHandler({"default": settings})["default"].cursor()
    """


@unittest.skipIf(PORT is None, "there is no PostgreSQL for tests: .ci/beyond starts one, and sets POSTGRESQL_PORT")
@unittest.skipIf(optional("django") is None, "Django is not installed: pip install isolatedunit[django]")
@unittest.skipIf(optional("psycopg") is None, "psycopg is not installed: pip install 'psycopg[binary]'")
class PostgreSQLTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("manage.py", django_project.MANAGE)
        self.write("settings.py", SETTINGS)
        self.write("shop/__init__.py", "")
        self.write("shop/state.py", "ready = False\n")
        self.write("shop/models.py", django_project.MODELS)
        self.write("shop/urls.py", django_project.URLS)
        self.write("shop/migrations/__init__.py", "")
        self.write("shop/migrations/0001_initial.py", django_project.MIGRATION)
        self.write("shop/tests.py", TESTS)
        self.name = f"development_{os.getpid()}"  # other tests of this class may run at the same time
        self.execute(f"CREATE DATABASE {self.name}")
        self.addCleanup(self.drop, self.name)
        self.execute("CREATE TABLE shop_item (id SERIAL PRIMARY KEY, name TEXT)", self.name)
        self.execute("INSERT INTO shop_item (name) VALUES ('precious')", self.name)

    def execute(self, sql: str, database: str = "postgres") -> list[Any]:
        psycopg = optional("psycopg")
        place = f"host=127.0.0.1 port={PORT} user=tests dbname={database}"
        with psycopg.connect(place, autocommit=True) as connection:
            cursor = connection.execute(sql)
            return [] if cursor.description is None else [row[0] for row in cursor.fetchall()]

    def drop(self, name: str) -> None:
        self.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def left(self) -> list[str]:
        """The databases that tests have left."""
        of_tests = f"test_{self.name}"
        return [name for name in self.execute("SELECT datname FROM pg_database") if name.startswith(of_tests)]

    def manage(self, *arguments: str) -> Completed:
        env = environment(DEVELOPMENT=self.name)
        ended = run_python("manage.py", *arguments, cwd=self.directory, env=env)
        self.assertEqual(self.execute("SELECT name FROM shop_item", self.name), ["precious"], ended.output)
        return ended

    def test_each_slot_has_a_database_that_is_made_anew_after_what_does_not_roll_back(self) -> None:
        for jobs in ("1", "2"):
            with self.subTest(jobs=jobs):
                ended = self.manage("test", "--isolated", "--parallel", jobs)
                self.assertEqual(ended.exit_code, 1, ended.output)
                self.assertIn("Ran 11 tests", ended.output)
                self.assertIn("FAILED (errors=1)", ended.output)
                self.assertIn("ERROR: test_crash (shop.tests.BTest", ended.output)
                self.assertEqual(self.left(), [])

    def test_a_test_that_reaches_for_another_database_ends_the_run(self) -> None:
        self.write("shop/tests.py", TRAP)
        ended = self.manage("test", "--isolated")
        self.assertEqual(ended.exit_code, 1, ended.output)
        self.assertIn(f"'{self.name}' (postgresql at 127.0.0.1", ended.output)
        self.assertIn("which is no test database", ended.output)
        self.assertEqual(self.left(), [])

    def test_after_a_killed_run_the_next_one_begins_anew_and_leaves_nothing(self) -> None:
        self.write("shop/tests.py", LASTING)
        killed = subprocess.Popen(
            [sys.executable, "manage.py", "test", "--isolated"],
            cwd=self.directory,
            env=environment(DEVELOPMENT=self.name),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(killed.wait)
        self.addCleanup(killed.kill)
        running = os.path.join(self.directory, "running")
        wait_until(lambda: os.path.exists(running) or killed.poll() is not None, "the test to begin")
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        self.assertNotEqual(self.left(), [])
        self.write("shop/tests.py", TESTS)
        ended = self.manage("test", "--isolated", "--noinput", "shop.tests.ATest", "shop.tests.BTest.test_crash")
        self.assertIn("FAILED (errors=1)", ended.output)
        self.assertEqual(self.left(), [])

    def test_kept_databases_are_used_again_as_migrations_left_them(self) -> None:
        for _ in range(2):
            ended = self.manage("test", "--isolated", "--keepdb", "--parallel", "2", "shop.tests.BTest")
            self.assertIn("FAILED (errors=1)", ended.output)
            self.assertIn("Ran 4 tests", ended.output)
        self.assertNotEqual(self.left(), [])
        self.manage("test", "--noinput", "shop.tests.DTest")
        for name in self.left():
            self.drop(name)


if __name__ == "__main__":
    unittest.main()
