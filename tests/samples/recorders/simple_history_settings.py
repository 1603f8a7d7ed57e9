"""The settings that django-simple-history's own ``runtests.py`` configures, as a module."""

from typing import Any

from runtests import get_default_settings  # type: ignore[import-not-found]

_settings: dict[str, Any] = get_default_settings()
globals().update(_settings)
