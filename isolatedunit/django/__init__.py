"""Django: ``manage.py test --isolated`` runs every test in a fork of the process that has made the test databases.

With ``"isolatedunit.django"`` in INSTALLED_APPS the command ``test`` has the option, whatever class runs the tests. A
project can also set ``TEST_RUNNER = "isolatedunit.django.DiscoverRunner"``, or mix `IsolatedMixin` into its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isolatedunit.django.runner import DiscoverRunner, IsolatedMixin

__all__ = ["DiscoverRunner", "IsolatedMixin"]


def __getattr__(name: str) -> Any:
    # not before it is asked for: Django imports this package, as an app, before it has read its settings
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from isolatedunit.django import runner

    return getattr(runner, name)
