"""As with forkserver, each child is a fork of a template; here the templates are in containers (see `container`)."""

from __future__ import annotations

from isolatedunit.backends.containers.container_pool import ContainerPool
from isolatedunit.backends.contract import Backend, Setting
from isolatedunit.backends.forkserver.backend import TemplateBackend


def open_backend(setting: Setting) -> Backend:
    """As `isolatedunit.backends.registry` has it."""
    return TemplateBackend(ContainerPool(setting))
