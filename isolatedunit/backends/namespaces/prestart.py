"""The first interpreter of a run is the one of forkserver: it enters namespaces when it hears what the run is."""

from __future__ import annotations

from isolatedunit.backends.forkserver.prestart import make_prestart

__all__ = ["make_prestart"]
