"""The checks of .ci/run, one at a time, for whoever uses nox: ``nox --list``, ``nox -s types``, ``nox -s tests-3.12``.

``.ci/run`` does all of it at once, and is what decides. ``portable`` is the part that does not depend on Linux. All
installs are editable: otherwise what an earlier version left in ``build`` would be installed, too.
"""

from __future__ import annotations

import nox

PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]

nox.options.sessions = ["types", "style", "docs"]
nox.options.default_venv_backend = "venv"


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the whole suite, or what stands behind ``--``, such as ``-- discover -s tests -k scheduler``."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "isolatedunit", *(session.posargs or ("discover", "-s", "tests")))


@nox.session(python=PYTHONS)
def portable(session: nox.Session) -> None:
    """Run what has to hold on every system: the tests without processes, the examples, and the self-test."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "unittest", "discover", "-s", "tests/unit")
    session.run("python", "-m", "isolatedunit", "discover", "-s", "examples")
    session.run("python", "-m", "isolatedunit", "selftest")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the package and its tests."""
    session.install("-e", ".[dev]")
    session.run("mypy", "--strict", "isolatedunit", "tests")


@nox.session
def style(session: nox.Session) -> None:
    """Check the style of all code."""
    session.install("ruff")
    session.run("ruff", "check")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into build/html; a warning is an error."""
    session.install("-e", ".[dev]")
    session.run("sphinx-build", "-W", "-q", "-b", "html", "docs", "build/html")


@nox.session
def package(session: nox.Session) -> None:
    """Build the distributions, and use the wheel in an empty environment."""
    session.install("build", "setuptools>=70.1", "twine")
    session.run("bash", ".ci/check_package", "python", external=True)
