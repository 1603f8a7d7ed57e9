"""The command ``test``: Django's own, whose runner knows ``--isolated``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import test

from isolatedunit.django.runner import with_isolation
from isolatedunit.errors import IsolatedUnitError


class Command(test.Command):  # type: ignore[misc]
    """Django's command, which mixes isolation into whatever class runs the tests."""

    def add_arguments(self, parser: Any) -> None:
        """Add the options of Django's command and of the runner's class."""
        with with_isolation(test):
            super().add_arguments(parser)

    def handle(self, *test_labels: str, **options: Any) -> None:
        """Run the tests; what makes that impossible is an error of the command."""
        with with_isolation(test):
            try:
                super().handle(*test_labels, **options)
            except IsolatedUnitError as exception:
                raise CommandError(str(exception), returncode=2) from exception
