"""What a run tells its user about failures that have nothing to do with the tests: something has to come first."""

from __future__ import annotations

_DJANGO = (
    "this suite needs Django to be set up: run it with manage.py test --isolated (isolatedunit.django). For tests that "
    "use no database, --preload django:setup is enough, with DJANGO_SETTINGS_MODULE set."
)
_ABSL = (
    "this suite needs the flags of absl to be parsed: write a function that calls absl.flags.FLAGS with the arguments "
    "that the tests expect, and name it with --preload MODULE:FUNCTION."
)
_SENTENCES = (
    ("django.core.exceptions.AppRegistryNotReady: ", _DJANGO),
    ("django.core.exceptions.ImproperlyConfigured: Requested setting", _DJANGO),
    ("absl.flags._exceptions.UnparsedFlagAccessError: ", _ABSL),
)


def advice_for(text: str) -> str | None:
    """What helps against the failure with this traceback, in a sentence; None if that is not known."""
    return next((sentence for sign, sentence in _SENTENCES if sign in text), None)
