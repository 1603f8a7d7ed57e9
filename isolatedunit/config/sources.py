"""The sources of options besides the command line: configuration files and the environment.

In the current directory ``[isolatedunit]`` in ``setup.cfg`` is read, and then ``[tool.isolatedunit]``
in ``pyproject.toml``, whose values win. A preset that is chosen, ``[tool.isolatedunit.presets.NAME]``, wins over these,
and ``ISOLATEDUNIT_*`` variables win over all. In a ``.cfg`` file, where there are no tables in tables,
``[isolatedunit.groups]``, and ``[isolatedunit.overrides.NAME]``, ``.presets.NAME]`` and ``.quarantine.NAME]`` take
their place.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from isolatedunit.config.options import ALIASES, Options, check
from isolatedunit.errors import OptionError
from isolatedunit.model.variables import SLOT_VARIABLE

ENVIRONMENT_PREFIX = "ISOLATEDUNIT_"
CONFIG_VARIABLE = "ISOLATEDUNIT_CONFIG"
PRESET_VARIABLE = "ISOLATEDUNIT_PRESET"
_NO_OPTIONS = (CONFIG_VARIABLE, PRESET_VARIABLE, SLOT_VARIABLE)

_GROUPS_SECTION = "isolatedunit.groups"
_OVERRIDES_SECTIONS = "isolatedunit.overrides."
_PRESETS_SECTIONS = "isolatedunit.presets."
_QUARANTINE_SECTIONS = "isolatedunit.quarantine."

Layer = tuple[str, Mapping[str, Any]]
"""Where some options are set, and their values."""


def load_options(
    base: Options,
    *,
    config: str | None = None,
    preset: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Options:
    """*base*, with the options that files and the environment set; raises `OptionError`.

    *config* names the only file to read, in place of those in the current directory, *preset* the preset to apply.
    """
    return load_options_with_origins(base, config=config, preset=preset, environment=environment)[0]


def load_options_with_origins(
    base: Options,
    *,
    config: str | None = None,
    preset: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[Options, dict[str, str]]:
    """What `load_options` returns, and where each option was set that files or the environment set."""
    environment = os.environ if environment is None else environment
    config = environment.get(CONFIG_VARIABLE) or None if config is None else config
    layers, presets = _take_presets(_read_files(config))
    preset = preset or environment.get(PRESET_VARIABLE)
    if preset is not None:
        layers += _choose_preset(preset, presets)
    for variable, value in environment.items():
        if variable.startswith(ENVIRONMENT_PREFIX) and variable not in _NO_OPTIONS:
            name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
            layers.append((f"the environment variable {variable}", {name: value}))
    options, origins = base, {}
    for where, values in layers:
        options = options.with_values(values, where)
        origins.update({ALIASES.get(name, name): where for name in values})
    return options, origins


def _take_presets(files: list[tuple[str, dict[str, Any]]]) -> tuple[list[Layer], dict[str, list[Layer]]]:
    """The options of each file without its presets, and the layers of each preset; raises `OptionError`."""
    presets: dict[str, list[Layer]] = {}
    for path, values in files:
        tables = values.pop("presets", {})
        if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
            raise OptionError(f"{path}: presets: invalid value {tables!r}; expected tables, each with options.")
        for name, table in tables.items():
            check(table, f"{path}: presets: {name}")  # also where another preset is chosen, or none
            presets.setdefault(name, []).append((f"the preset {name} in {path}", table))
    return list(files), presets


def _choose_preset(preset: str, presets: Mapping[str, list[Layer]]) -> list[Layer]:
    if preset in presets:
        return presets[preset]
    import difflib

    near = difflib.get_close_matches(preset, presets, 1)
    known = f"expected one of: {', '.join(sorted(presets))}." if presets else "no configuration file has presets."
    raise OptionError(f"--preset: unknown preset {preset!r}; {f'did you mean {near[0]!r}?' if near else known}")


def _read_files(config: str | None) -> list[tuple[str, dict[str, Any]]]:
    if config is not None:
        if not os.path.isfile(config):
            raise OptionError(f"--config: {config!r} does not exist; name an existing .toml or .cfg file.")
        return [(config, _read_toml(config) if config.endswith(".toml") else _read_cfg(config))]
    found = []
    if os.path.isfile("setup.cfg"):
        found.append(("setup.cfg", _read_cfg("setup.cfg")))
    if os.path.isfile("pyproject.toml"):
        found.append(("pyproject.toml", _read_toml("pyproject.toml")))
    return found


def _read_toml(path: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):  # here, because most directories have no such file
        import tomllib
    else:
        import tomli as tomllib

    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except (OSError, ValueError) as exception:
        raise OptionError(f"{path} cannot be read: {exception}.") from exception
    tools = document.get("tool")
    section = tools.get("isolatedunit", {}) if isinstance(tools, dict) else {}
    if not isinstance(section, dict):
        raise OptionError(f"{path}: [tool.isolatedunit] must be a table, not {section!r}.")
    return section


def _read_cfg(path: str) -> dict[str, Any]:
    import configparser

    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding="utf-8")
    except (OSError, ValueError, configparser.Error) as exception:
        words = " ".join(str(exception).split()).rstrip(".")
        raise OptionError(f"{path} cannot be read: {words}.") from exception
    values: dict[str, Any] = dict(parser["isolatedunit"]) if parser.has_section("isolatedunit") else {}
    if parser.has_section(_GROUPS_SECTION):
        values["groups"] = dict(parser[_GROUPS_SECTION])
    for name, prefix in (("overrides", _OVERRIDES_SECTIONS), ("quarantine", _QUARANTINE_SECTIONS)):
        tables = [dict(parser[section]) for section in parser.sections() if section.startswith(prefix)]
        if tables:
            values[name] = tables
    presets = [name for name in parser.sections() if name.startswith(_PRESETS_SECTIONS)]
    if presets:
        values["presets"] = {name.removeprefix(_PRESETS_SECTIONS): dict(parser[name]) for name in presets}
    for name in parser.sections():
        prefixes = (_OVERRIDES_SECTIONS, _PRESETS_SECTIONS, _QUARANTINE_SECTIONS)
        is_known = name == _GROUPS_SECTION or name.startswith(prefixes)
        if name.startswith("isolatedunit.") and not is_known:
            known = ", ".join(f"[{one}NAME]" for one in prefixes)
            raise OptionError(f"{path}: unknown section [{name}]; expected [{_GROUPS_SECTION}], {known}.")
    return values
