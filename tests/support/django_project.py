"""A small Django project, whose development database has a row that no test may touch."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

from tests.support.command_line import Completed
from tests.support.projects import ProjectTestCase

MANAGE = """
    import os, sys
    from django.core.management import execute_from_command_line

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    execute_from_command_line(sys.argv)
    """

MODELS = """
    from django.db import models

    class Item(models.Model):
        name = models.CharField(max_length=20)
        class Meta:
            app_label = "shop"
    """

MIGRATION = """
    from django.db import migrations, models

    class Migration(migrations.Migration):
        operations = [
            migrations.CreateModel(
                "Item", [("id", models.AutoField(primary_key=True)), ("name", models.CharField(max_length=20))]
            ),
            migrations.RunPython(lambda apps, _: apps.get_model("shop", "Item").objects.create(name="migrated")),
        ]
    """

URLS = """
    from django.http import HttpResponse
    from django.urls import path
    from shop.models import Item

    urlpatterns = [path("", lambda request: HttpResponse(str(Item.objects.count())))]
    """


class DjangoProjectTestCase(ProjectTestCase):
    """Has the app ``shop`` with one model, and a development database; the settings are the tests' own."""

    def setUp(self) -> None:
        super().setUp()
        self.write("manage.py", MANAGE)
        self.write("shop/__init__.py", "")
        self.write("shop/models.py", MODELS)
        with closing(self.open_development()) as database:
            database.execute("CREATE TABLE shop_item (id INTEGER PRIMARY KEY, name TEXT)")
            database.execute("INSERT INTO shop_item (name) VALUES ('precious')")
            database.commit()

    def open_development(self) -> sqlite3.Connection:
        return sqlite3.connect(os.path.join(self.directory, "development.sqlite3"))

    def assert_development_is_as_it_was(self, ended: Completed) -> None:
        with closing(self.open_development()) as database:
            self.assertEqual(database.execute("SELECT name FROM shop_item").fetchall(), [("precious",)], ended.output)
        self.assertFalse(os.path.exists(os.path.join(self.directory, "other.sqlite3")), "an unused one is not made")
