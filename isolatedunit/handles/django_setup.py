"""Django in the process of a call: set up as in the process that makes the call, with the same databases."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def find() -> tuple[str, dict[str, Any], bool] | None:
    """How Django is set up in this process: the arguments for `repeat`; None if it is not.

    None also where the settings are of no module, as after ``settings.configure``: no other process could import them.
    """
    apps = getattr(sys.modules.get("django.apps"), "apps", None)
    if apps is None or not apps.ready:
        return None
    from django.conf import settings
    from django.db import connections

    from isolatedunit.handles.databases import is_testing

    if not settings.SETTINGS_MODULE:
        return None
    names = {alias: of_alias.get("NAME") for alias, of_alias in connections.databases.items()}
    return settings.SETTINGS_MODULE, names, is_testing()


def repeat(settings_module: str, names: dict[str, Any], is_testing: bool) -> None:
    """Set up Django in this process, with databases of these *names*, by alias.

    If tests run in the caller's process, only those may be opened that look like test databases.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings_module)
    import django
    from django.apps import apps
    from django.db import connections

    from isolatedunit.handles import databases

    if not apps.ready:
        django.setup()
    for alias, name in names.items():
        connections.databases[alias]["NAME"] = name
    if is_testing:
        databases.guard(databases.find_test_databases(), lambda _: None)
