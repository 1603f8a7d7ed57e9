"""As with forkserver, each child is a fork of a template; here each module template is a lane (see `child.lane`)."""

from __future__ import annotations

from isolatedunit.backends.contract import Backend, Setting
from isolatedunit.backends.forkserver.backend import TemplateBackend
from isolatedunit.backends.namespaces.lane_pool import LanePool


def open_backend(setting: Setting) -> Backend:
    """As `isolatedunit.backends.registry` has it."""
    return TemplateBackend(LanePool(setting))
