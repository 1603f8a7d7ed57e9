"""Preludes: what a suite needs before any of its modules is imported, as ``gevent.monkey.patch_all``."""

from __future__ import annotations

import importlib
import sys

from isolatedunit.child.tracebacks import as_text
from isolatedunit.collection.addresses import follow
from isolatedunit.errors import PreludeFailed
from isolatedunit.protocol.messages import ImportStarted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from isolatedunit.child.reporter import Reporter

__unittest = True  # leaves this module's frames out of tracebacks

_done: set[str] = set()
"""The preludes that were run in this process, or in the one that it is a fork of."""


def run(preludes: Iterable[str], reporter: Reporter | None = None) -> None:
    """Import the module that each of *preludes* names, and call its function; once for a process and all its forks.

    A *reporter* reports the beginning of each, and its end. Raises `PreludeFailed`.
    """
    for prelude in preludes:
        if prelude in _done:
            continue
        if reporter is not None:
            reporter.send(ImportStarted, module=prelude, is_prelude=True)
        module, _, function = prelude.partition(":")
        try:
            found = importlib.import_module(module)
            if function:
                follow(found, function)()
        except BaseException as exception:
            why = f"{type(exception).__name__}: {as_text(exception)}".rstrip(": ")
            raise PreludeFailed(f"preload: {prelude!r} failed: {why}") from exception
        _done.add(prelude)
        if reporter is not None:
            reporter.send(ImportStarted, module="", is_prelude=True)
        if "django.db" in sys.modules:
            from isolatedunit.handles.databases import refuse_all

            refuse_all()  # no runner of Django's makes test databases here


def load_sdks(home: dict[str, Any]) -> None:
    """In a template: prepare for the SDKs that tests or calls name in their options, and need not import themselves."""
    preloading = sys.modules.get("isolatedunit.sdk.preloading")
    if preloading is not None:
        importlib.import_module("isolatedunit.sdk.factory")  # by which each of them makes its SDK
        preloading.preload_noted()
        if "sdk" in home:
            preloading.preload(*home["sdk"])
