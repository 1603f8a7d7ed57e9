"""Which lines tests run: measured by coverage.py in every process of a run, and put together at its end.

What is measured is what coverage.py's own configuration says. The processes write what they saw into files of the run;
these become the one file that ``coverage report`` reads.
"""

from __future__ import annotations

import os
from typing import Any

from isolatedunit.errors import OptionError

OWN_FILES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "*")


def need_coverage() -> None:
    """Raise `OptionError` where coverage.py is missing, or its configuration makes no sense."""
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
    """Begin to measure this process, and all that is forked from it; they save their data into *directory*.

    isolatedunit's own files are left out, unless the configuration names it in ``source_pkgs``.
    """
    import coverage

    measurement = coverage.Coverage(data_file=os.path.join(directory, "lines"), data_suffix=True)
    if "isolatedunit" not in (measurement.get_option("run:source_pkgs") or ()):  # type: ignore[operator]
        measurement.set_option("run:omit", [*(measurement.get_option("run:omit") or ()), OWN_FILES])  # type: ignore
    if os.name == "posix":
        measurement.set_option("run:sigterm", True)  # a test that is ended has run some lines, too
    measurement.start()
    return measurement


def save(measurement: Any) -> None:
    """Write down what this process has seen so far, and leave nothing open."""
    measurement.save()
    measurement.get_data().close()


def combine(directory: str) -> str:
    """Make coverage's own data file of what is in *directory*; gives what there is to say."""
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
