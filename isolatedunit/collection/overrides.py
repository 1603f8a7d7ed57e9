"""The options that a test's class and method override."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CARRIED_ATTRIBUTE = "__isolatedunit_carried__"
"""The attribute in which a mixin that also works under other runners keeps the options for its attributes."""

DECLARES_ATTRIBUTE = "__isolatedunit_declares__"
"""Set on a class whose attributes, and those of its subclasses, override the options of the same name."""

OPTIONS_ATTRIBUTE = "__isolatedunit_options__"
"""The attribute of a method or class in which `isolated` keeps its options."""


_CLASS_MARKS = (CARRIED_ATTRIBUTE, DECLARES_ATTRIBUTE, OPTIONS_ATTRIBUTE)


def overrides_of(test: Any) -> dict[str, Any]:
    """The options that the test's class and method override. The method takes precedence, then the derived class.

    Within one class, `isolated` takes precedence over attributes. Raises `OptionError` for an unusable option.
    """
    cls = type(test)
    method = getattr(cls, getattr(test, "_testMethodName", ""), None)
    if not (hasattr(method, OPTIONS_ATTRIBUTE) or any(hasattr(cls, name) for name in _CLASS_MARKS)):
        return {}
    # imported here, since a process that lists plain tests does not need it
    from isolatedunit.config.options import PER_TEST, check
    from isolatedunit.errors import OptionError

    refused = getattr(cls, "sdk_options", None)
    if isinstance(refused, OptionError):
        raise OptionError(f"{cls.__module__}.{cls.__qualname__}: sdk_options: {refused}")
    overrides: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        own = vars(base)
        overrides.update(own.get(CARRIED_ATTRIBUTE, {}))
        if getattr(base, DECLARES_ATTRIBUTE, False):
            overrides.update({name: own[name] for name in PER_TEST if name in own})
        overrides.update(own.get(OPTIONS_ATTRIBUTE, {}))
    overrides.update(getattr(method, OPTIONS_ATTRIBUTE, {}))
    return check(overrides, f"{cls.__module__}.{cls.__qualname__}", allowed=PER_TEST) if overrides else {}


def find_misspelt(cls: type) -> list[str]:
    """A sentence for each attribute of *cls* that looks like an option with a mistake in its name.

    An attribute counts if the class may set options by attributes, and the option could have the attribute's value.
    """
    if not getattr(cls, DECLARES_ATTRIBUTE, False):
        return []
    from isolatedunit.config.options import meant_by

    found = []
    for base in cls.__mro__:
        if getattr(base, DECLARES_ATTRIBUTE, False):
            for name, value in list(vars(base).items()):
                meant = None if name.startswith("_") or hasattr(value, "__get__") else meant_by(name, value)
                if meant is not None:
                    where = f"{base.__module__}.{base.__qualname__}.{name}"
                    found.append(f"{where} is no option and has no effect; did you mean {meant}?")
    return found
