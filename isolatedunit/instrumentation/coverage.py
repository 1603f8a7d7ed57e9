"""Measures which lines tests run, with coverage.py in every process of a run, and combines the data at its end.

coverage.py's own configuration decides what is measured. Each process writes its data into a file of the run;
the files are combined into the one that ``coverage report`` reads.
"""

from __future__ import annotations

import itertools
import os
import re
from typing import Any

from isolatedunit.errors import OptionError

OWN_FILES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "*")


def need_coverage() -> None:
    """Raise `OptionError` if coverage.py is missing or its configuration is invalid."""
    try:
        import coverage
    except ImportError:
        raise OptionError(
            "--coverage needs the package coverage; install it with: pip install 'isolatedunit[coverage]'."
        ) from None
    try:
        coverage.Coverage()
    except coverage.CoverageException as exception:
        raise OptionError(f"--coverage: {exception}") from exception


def begin(directory: str) -> Any:
    """Start measuring this process and all its forks, which save their data into *directory*.

    isolatedunit's own files are left out, unless the configuration's ``source_pkgs`` or ``include`` names the package.
    """
    import coverage

    measurement = coverage.Coverage(data_file=os.path.join(directory, "lines"), data_suffix=True)
    named: list[Any] = [measurement.get_option(f"run:{name}") or () for name in ("source_pkgs", "include")]
    if not any("isolatedunit" in re.split(r"[\\/]", one) for one in itertools.chain(*named)):
        measurement.set_option("run:omit", [*(measurement.get_option("run:omit") or ()), OWN_FILES])  # type: ignore
    if os.name == "posix":
        measurement.set_option("run:sigterm", True)  # a terminated test has run lines, too
    measurement.start()
    return measurement


def save(measurement: Any) -> None:
    """Save the data that this process has collected so far, and leave no file open."""
    data = measurement.get_data()  # once: each call goes through all files that could be measured
    data.write()
    data.close()


def combine(directory: str) -> str:
    """Combine the data in *directory* into coverage.py's own data file; returns a message for the user."""
    import coverage

    result = coverage.Coverage(messages=False)
    try:
        result.erase()
        result.combine(sorted(entry.path for entry in os.scandir(directory)), strict=True)
        result.save()
        os.chmod(result.get_data().data_filename(), 0o600)
    except (coverage.CoverageException, OSError) as exception:
        return f"isolatedunit: no coverage data was written: {exception}"
    path = os.path.relpath(result.get_data().data_filename())
    result.get_data().close()
    return f"Coverage: {path}; view it with 'coverage report' or 'coverage html'"
