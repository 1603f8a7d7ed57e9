"""Django: without these tests, a test could open a database that is none of the tests', or find what another left."""

from __future__ import annotations

import os
import textwrap
import unittest

from isolatedunit.config.start_method import proven_start_methods
from tests.support.command_line import Completed, environment, run_python
from tests.support.django_project import MIGRATION, URLS, DjangoProjectTestCase
from tests.support.optional import optional

SETTINGS = """
    import os

    SECRET_KEY = "x"
    USE_TZ = True
    INSTALLED_APPS = ["shop"] + os.environ.get("APPS", "isolatedunit.django").split()
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.path.abspath("development.sqlite3"),
            "TEST": {"NAME": os.environ.get("TEST_NAME")},
        },
        "other": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.path.abspath("other.sqlite3")},
    }
    TEST_RUNNER = os.environ.get("RUNNER", "django.test.runner.DiscoverRunner")
    ROOT_URLCONF = "shop.urls"
    STATIC_URL = "static/"
    """

RUNNERS = """
    from django.test.runner import DiscoverRunner
    from isolatedunit import IsolatedTestRunner
    from shop import state

    class OfProject(DiscoverRunner):
        def setup_test_environment(self, **options):
            super().setup_test_environment(**options)
            state.ready = True

    class ByAttribute(OfProject):
        test_runner = IsolatedTestRunner
    """

TESTS = """
    import os
    from urllib.request import urlopen

    from django.core import mail
    from django.test import LiveServerTestCase, SimpleTestCase, TestCase, TransactionTestCase, tag
    from shop import state
    from shop.models import Item

    class ATest(TestCase):
        databases = {"default"}

        @classmethod
        def setUpTestData(cls):
            Item.objects.create(name="of the class")

        def test_a(self):
            Item.objects.create(name="of the test")
            self.assertEqual(Item.objects.count(), 3)

        test_b = test_a

        @tag("few")
        async def test_asynchronous(self):
            self.assertEqual(await Item.objects.acount(), 2)

        def test_mail(self):
            mail.send_mail("a", "b", "c@example.com", ["d@example.com"])
            self.assertEqual(len(mail.outbox), 1)

    class BTest(TransactionTestCase):
        @tag("few")
        def test_what_migrations_made_is_there_for_each(self):
            self.assertEqual([item.name for item in Item.objects.all()], ["migrated"])
            Item.objects.all().delete()

        test_also_for_this = test_what_migrations_made_is_there_for_each

        def test_crash(self):
            Item.objects.all().delete()
            os._exit(0)

        def test_what_a_crash_left_is_gone(self):
            self.assertEqual(Item.objects.count(), 1)

    class CTest(LiveServerTestCase):
        def test_server(self):
            with urlopen(f"{self.live_server_url}/") as response:
                self.assertEqual(response.read(), b"1")

    class DTest(SimpleTestCase):
        def test_runner_of_the_project(self):
            self.assertEqual(state.ready, os.environ.get("RUNNER") is not None)
            state.ready = 5

        test_again = test_runner_of_the_project
    """

QUERIES = """
    from django.test import TestCase
    from shop.models import Item

    class QueryTest(TestCase):
        def test_fails(self):
            self.assertEqual(Item.objects.count(), 7)
    """

TRAPS = """
    from django.db import connections
    from django.db.utils import ConnectionHandler
    from django.test import TestCase, TransactionTestCase
    from isolatedunit import IsolatedTestCase
    from shop.models import Item

    class ByHandlerTest(TestCase):
        def test_1_other_connection(self):
            settings = dict(connections.settings["default"], NAME="development.sqlite3")
            connection = ConnectionHandler({"default": settings})["default"]
            try:
                with connection.cursor() as cursor:
                    cursor.execute("DELETE FROM shop_item")
            except BaseException:
                pass

        def test_2_later(self):
            pass

    class IsolatedTest(IsolatedTestCase):
        def test_delete(self):
            Item.objects.all().delete()
    """


@unittest.skipIf(optional("django") is None, "Django is not installed: pip install isolatedunit[django]")
@unittest.skipUnless("forkserver" in proven_start_methods(), "there is no fork that can be relied on")
class DjangoTest(DjangoProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("settings.py", SETTINGS)
        self.write("runners.py", RUNNERS)
        self.write("shop/state.py", "ready = False\n")
        self.write("shop/urls.py", URLS)
        self.write("shop/migrations/__init__.py", "")
        self.write("shop/migrations/0001_initial.py", MIGRATION)
        self.write("shop/tests.py", TESTS)

    def manage(self, *arguments: str, **variables: str) -> Completed:
        """Run a command of the project; afterwards the row in its development database has to be there."""
        ended = run_python("manage.py", *arguments, cwd=self.directory, env=environment(**variables))
        self.assert_development_is_as_it_was(ended)
        return ended

    def assert_only_the_crash(self, ended: Completed, tests: int = 11) -> None:
        self.assertEqual(ended.exit_code, 1, ended.output)
        self.assertIn(f"Ran {tests} tests", ended.output)
        self.assertIn("FAILED (errors=1)", ended.output)
        self.assertIn("ERROR: test_crash (shop.tests.BTest", ended.output)

    def test_by_every_door_each_test_has_a_private_copy_of_a_database_in_memory(self) -> None:
        """The runner of a project keeps what it does itself."""
        for apps, runner, flags in (
            ("isolatedunit.django", "runners.OfProject", ["--isolated", "--parallel", "1"]),
            ("", "runners.ByAttribute", ["--parallel", "2"]),
        ):
            with self.subTest(runner):
                self.assert_only_the_crash(self.manage("test", *flags, APPS=apps, RUNNER=runner))
        few = ["test", "--isolated", "--tag", "few", "-k", "migrations"]
        ended = self.manage(*few, APPS="", RUNNER="isolatedunit.django.DiscoverRunner")
        self.assertEqual((ended.exit_code, "Ran 1 test" in ended.output), (0, True), ended.output)

    def test_of_another_database_each_slot_has_a_clone_and_a_doubtful_one_is_made_anew(self) -> None:
        ended = self.manage("test", "--isolated", "--parallel", "2", TEST_NAME="of_tests.sqlite3")
        self.assert_only_the_crash(ended)
        left = [name for name in os.listdir(self.directory) if name.startswith("of_tests")]
        self.assertEqual(left, [], "neither the test database nor a clone is left")

    def test_a_test_that_reaches_for_another_database_ends_the_run_with_the_names(self) -> None:
        self.write("shop/tests.py", TRAPS)
        ended = self.manage("test", "--isolated", "--failfast", "shop.tests.ByHandlerTest")
        self.assertEqual(ended.exit_code, 1, ended.output)
        self.assertRegex(
            ended.output, "leads to 'development.sqlite3' .*which is no test database; there are: 'file:mem"
        )
        self.assertIn("Ran 1 test", ended.output)

    def test_a_case_that_isolates_itself_is_refused_under_a_runner_that_does_not_fork(self) -> None:
        self.write("shop/tests.py", TRAPS)
        ended = self.manage("test", "shop.tests.IsolatedTest")
        self.assertEqual(ended.exit_code, 1, ended.output)
        self.assertIn("Run it with manage.py test --isolated", ended.output)
        # it is none of Django's cases, so Django makes no test database for it: its query is meant for the real one
        ended = self.manage("test", "--isolated", "shop.tests.IsolatedTest")
        self.assertEqual(ended.exit_code, 1, ended.output)
        self.assertIn("development.sqlite3' (sqlite), which is no test database; there are: none", ended.output)

    def test_the_command_opens_no_database_where_nobody_has_made_test_databases(self) -> None:
        env = environment(DJANGO_SETTINGS_MODULE="settings")
        command = ("-m", "isolatedunit", "--preload", "django:setup", "shop.tests.ATest", "shop.tests.DTest")
        ended = run_python(*command, cwd=self.directory, env=env)
        self.assert_development_is_as_it_was(ended)
        self.assertEqual(ended.last_line, "2 passed, 1 failed, 0 skipped", ended.output)
        self.assertIn("development.sqlite3' (sqlite), which is no test database; there are: none", ended.output)

    def test_options_mean_what_they_mean_without_it(self) -> None:
        self.write("shop/tests.py", f"{textwrap.dedent(TESTS)}\n{textwrap.dedent(QUERIES)}")
        orders = []
        for flags in ([], ["--isolated"]):
            options = ("--shuffle", "7", "--debug-sql", "--timing", "-v", "2", *flags)
            cases = [f"shop.tests.{name}" for name in ("ATest", "DTest", "QueryTest")]
            ended = self.manage("test", *options, *cases, RUNNER="runners.OfProject")
            self.assertEqual(ended.exit_code, 1, ended.output)
            self.assertRegex(ended.output, r'SELECT COUNT\(\*\) AS "__count"\s+FROM "shop_item"')
            self.assertIn("Total database setup took", ended.output)
            lines = [line.partition(" ")[0] for line in ended.output.splitlines() if " ... " in line]
            orders.append([line for line in lines if line.startswith("test_")])
        self.assertEqual(len(orders[0]), 7)
        self.assertEqual(*orders)
        ended = self.manage("test", "--isolated", "--pdb", "shop.tests.ATest")
        self.assertIn("--isolated has no effect with --pdb: the tests run in this process.", ended.output)
        self.assertEqual(ended.exit_code, 0, ended.output)

    def test_a_thread_is_refused_by_name(self) -> None:
        thread = (
            "import threading\nthreading.Thread(target=threading.Event().wait, name='poller', daemon=True).start()\n"
        )
        self.write("shop/state.py", f"ready = False\n{thread}")
        ended = self.manage("test", "--isolated", "shop.tests.DTest")
        self.assertEqual(ended.exit_code, 2, ended.output)
        self.assertIn("CommandError: a thread is running (poller), which no fork would have", ended.output)
        self.assertNotIn("Traceback", ended.output)


if __name__ == "__main__":
    unittest.main()
