"""The app, which has no models: it brings the option ``--isolated`` to the command ``test``."""

from __future__ import annotations

from django.apps import AppConfig


class IsolatedUnitConfig(AppConfig):  # type: ignore[misc]
    """What Django finds for ``"isolatedunit.django"``."""

    name = "isolatedunit.django"
    label = "isolatedunit"
