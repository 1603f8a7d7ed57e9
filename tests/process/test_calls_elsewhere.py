"""Calls from a session at the prompt and from a Django process: without these tests they could find other data."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import unittest

from tests.support.command_line import environment, run_python
from tests.support.django_project import DjangoProjectTestCase
from tests.support.optional import optional
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import START_METHODS

SESSION = """
import asyncio, importlib, os
from isolatedunit import IsolatedTestRunner
runner = IsolatedTestRunner(start_method=os.environ["METHOD"])
def work(test, number):
    return Point(number * factor)

class Point:
    def __init__(self, x): self.x = x

factor = 3
point = runner.run_isolated_test(work, 2).unwrap()
print("typed:", point.x, isinstance(point, Point))
factor = 5
print("changed:", [point.x for point in runner.map(work, range(3), unwrap=True)])
def work(test, number): return -number

print("redefined:", runner.run_isolated_test(work, 2).unwrap())
async def wait(test): return await asyncio.sleep(0, factor)

print("async:", asyncio.run(runner.run_isolated_test_async(wait)).unwrap())
1 + runner.run_isolated_test(lambda test: 1 / 0).unwrap()
print("goes on:", runner.run_isolated_test(lambda test: factor).unwrap())
print("input:", runner.run_isolated_test(lambda test: input()).exception_type)
import of_project, on_top
print("imported:", runner.run_isolated_test(of_project.tell).unwrap(), runner.run_isolated_test(on_top.tell).unwrap())
print(file=open("of_project.py", "w"), *["value = 'a new value'", "def tell(test): return value"], sep="\\n")
_ = importlib.reload(of_project)
print("reloaded:", runner.run_isolated_test(of_project.tell).unwrap(), runner.run_isolated_test(on_top.tell).unwrap())
left = runner.submit(lambda test: input() or __import__("time").sleep(1000))
exit()
"""

SHOWN = """\
typed: 6 True
changed: [0, 5, 10]
redefined: -2
async: 5
goes on: 5
input: EOFError
imported: value value
reloaded: a new value a new value
"""


class SessionTest(ProjectTestCase):
    def test_a_session_at_the_prompt(self) -> None:
        self.write("of_project.py", "value = 'value'\ndef tell(test): return value\n")
        self.write("on_top.py", "import of_project\ndef tell(test): return of_project.value\n")
        for method in START_METHODS:
            with self.subTest(method), tempfile.TemporaryFile("w+") as typed:
                typed.write(SESSION)
                typed.seek(0)
                self.write("of_project.py", "value = 'value'\ndef tell(test): return value\n")
                ended = subprocess.run(
                    [sys.executable, "-i", "-q"],
                    cwd=self.directory,
                    env=environment(METHOD=method, PYTHONDONTWRITEBYTECODE="1"),
                    stdin=typed,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                self.assertEqual(ended.stdout, SHOWN, ended.stderr)
                self.assertIn("ZeroDivisionError", ended.stderr)


SETTINGS = """
    import os

    SECRET_KEY = "x"
    INSTALLED_APPS = ["shop"]
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.path.abspath("development.sqlite3"),
            "TEST": {"NAME": os.path.abspath("test_of_shop.sqlite3")},
        },
        "untested": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.path.abspath("development.sqlite3")},
    }
    """

WORK = """
    from shop.models import Item

    def names(test):
        return [item.name for item in Item.objects.all()]

    def name_of(test, item):
        return item.name

    def rename(test, name, alias="default"):
        return Item.objects.using(alias).update(name=name)
    """

PROGRAM = """
    import os, sys

    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    import django
    from isolatedunit import IsolatedTestRunner

    with IsolatedTestRunner(start_method=sys.argv[1]) as runner:
        print(runner.run_isolated_test(lambda test: "django" in sys.modules).unwrap())  # it is not set up yet
        django.setup()
        from shop.work import Item, name_of, names

        print(runner.run_isolated_test(names).unwrap(), runner.run_isolated_test(name_of, Item.objects.get()).unwrap())
        print(runner.run_isolated_test(lambda test: Item.objects.get()).unwrap().name)
    """

TESTS = """
    import os
    from django.test import TransactionTestCase
    from isolatedunit import IsolatedTestRunner
    from shop.work import Item, names, rename

    class CallTest(TransactionTestCase):
        def test_calls_use_the_test_database(self):
            Item.objects.create(name="of the test")
            with IsolatedTestRunner(start_method=os.environ["METHOD"]) as runner:
                self.assertEqual(runner.run_isolated_test(rename, "of the call").unwrap(), 1)
                self.assertEqual(runner.run_isolated_test(names).unwrap(), ["of the call"])
                self.assertEqual(Item.objects.get().name, "of the call")
                refused = runner.run_isolated_test(rename, "harmed", alias="untested")
                self.assertRegex(refused.error, "the database alias 'untested' leads to .*, which is no test database")
    """


@unittest.skipIf(optional("django") is None, "needs Django")
class DjangoTest(DjangoProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("settings.py", SETTINGS)
        self.write("shop/work.py", WORK)
        self.write("shop/tests.py", TESTS)
        self.write("program.py", PROGRAM)

    def test_a_call_has_django_set_up_as_its_caller_has(self) -> None:
        for method in START_METHODS:
            with self.subTest(method):
                ended = run_python("program.py", method, cwd=self.directory)
                self.assertEqual(ended.output, "False\n['precious'] precious\nprecious\n")

    def test_a_call_of_a_test_never_reaches_another_than_the_test_database(self) -> None:
        for method in START_METHODS:
            with self.subTest(method):
                given = environment(METHOD=method, DJANGO_SETTINGS_MODULE="settings")
                ended = run_python("-m", "django", "test", "shop", "--noinput", cwd=self.directory, env=given)
                self.assertEqual((ended.exit_code, "Ran 1 test " in ended.output), (0, True), ended.output)
                self.assert_development_is_as_it_was(ended)
