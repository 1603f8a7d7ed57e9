"""Runs the suites of real projects by their own runner and by this one, and compares the outcomes test by test.

    python -m tests.beyond.compared_suites {django,pytest,rest_framework} DIRECTORY [SUITE ...]

The suites are source distributions of pinned versions from PyPI, which go to DIRECTORY and are used again if they are
there. What their tests import has to be installed here: with ``needs`` instead of a directory, it is printed. Prints
each difference by its name, and the CPU time of both runs; the last line is that of ``.ci/beyond``. A suite is one test
for each way to isolate it.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import resource
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.paths import REPOSITORY

RECORDERS = os.path.join(REPOSITORY, "tests", "samples", "recorders")

NEEDS = {
    "django": "diff-match-patch==20241021 tablib[all] psycopg[binary] django-crispy-forms djangorestframework pytz "
    "chardet==5.2.0 django-extensions memory-profiler setuptools time-machine "
    "django-simple-history",
    "pytest": "cloudpickle hypothesis pympler pytest-benchmark coverage httpx==0.28.1 attrs==26.1.0 click==8.5.1 "
    "brotli h2 socksio zstandard anyio trio trustme uvicorn chardet rich<14 pygments cryptography",
    "rest_framework": "djangorestframework==3.18.3 pytest==9.* pytest-django<5 dj-database-url importlib-metadata "
    "django-guardian inflection markdown pygments pyyaml requests uritemplate django-filter",
}


FIXTURES_ONCE = ("--isolated", "--isolated-fork-after", "fixtures", "--isolated-jobs")


@dataclass(frozen=True)
class Suite:
    """The suite of the *release*, as pip names it: in this *directory* of the source, with these *arguments*.

    Each of *parts* is a run of its own. *ways* are the options to isolate it with, if not all of the face's are.
    """

    release: str
    directory: str = "."
    arguments: tuple[str, ...] = ()
    parts: tuple[tuple[str, ...], ...] = ((),)
    path: tuple[str, ...] = (".",)
    environment: tuple[tuple[str, str], ...] = ()
    ways: tuple[tuple[str, ...], ...] = ()


def of_django(release: str, settings: str = "tests.settings", directory: str = ".", **more: Any) -> Suite:
    """A suite that Django's command ``test`` runs."""
    environment = (("DJANGO_SETTINGS_MODULE", settings), *more.pop("environment", ()))
    return Suite(release, directory, environment=environment, **more)


def _django_suites() -> dict[str, Suite]:
    old = importlib.metadata.version("django").startswith("4.")  # the last that support it
    suites = {
        "filter": of_django(f"django-filter=={'25.1' if old else '26.2'}"),
        "model-utils": of_django("django-model-utils==5.0.0", environment=(("SQLITE", "1"),)),
        "import-export": of_django("django-import-export==4.4.3", "settings", "tests", path=("..", ".")),
        "simple-history": of_django(
            f"django-simple-history=={'3.10.1' if old else '3.13.0'}",
            "simple_history_settings",
            parts=(("simple_history.tests",), ("simple_history.registry_tests",)),
        ),
    }
    if "POSTGRESQL_PORT" in os.environ:
        server = (("POSTGRES_PORT", os.environ["POSTGRESQL_PORT"]), ("POSTGRES_USER", "tests"))
        suites["model-utils-postgresql"] = of_django(
            "django-model-utils==5.0.0", environment=(*server, ("POSTGRES_HOST", "127.0.0.1"), ("POSTGRES_DB", "tests"))
        )
    return suites


SUITES_OF_PYTEST = {
    "pluggy": Suite("pluggy==1.7.0", arguments=("testing",)),
    "click": Suite("click==8.5.1", arguments=("tests",)),
    "attrs": Suite("attrs==26.1.0", arguments=("tests",)),
    # its server always listens at port 8000, which two processes cannot do at once
    "httpx": Suite("httpx==0.28.1", arguments=("tests",), ways=(("--isolated",), (*FIXTURES_ONCE, "2"))),
}
SUITES_OF_REST_FRAMEWORK = {"rest_framework": Suite("djangorestframework==3.18.3", arguments=("tests",))}

WAYS_OF_DJANGO = (("--isolated",), ("--isolated", "--parallel", "2"))
WAYS_OF_PYTEST = (("--isolated", "--isolated-jobs", "2"), (*FIXTURES_ONCE, "2"))


def fetch(release: str, directory: str) -> str:
    """The folder of the release's source, which is fetched from PyPI unless it is there."""
    name, _, version = release.partition("==")
    folder = os.path.join(directory, f"{name.replace('-', '_')}-{version}")
    if not os.path.isdir(folder):
        fetching = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", name]
        subprocess.run([*fetching, "-d", directory, release], check=True)
        with tarfile.open(folder + ".tar.gz") as archive:
            archive.extractall(directory)  # noqa: S202 - pinned releases from PyPI
    return folder


def run(face: str, suite: Suite, folder: str, options: Sequence[str]) -> tuple[dict[str, str], float]:
    """Run the suite with these options of the face; the outcome of each test, and the seconds of CPU time."""
    here = os.path.join(folder, suite.directory)
    paths = [RECORDERS, *(os.path.normpath(os.path.join(here, one)) for one in suite.path)]
    output = os.path.join(folder, "outcomes.json")
    env = {**os.environ, **dict(suite.environment), "PYTHONPATH": os.pathsep.join(paths), "OUTCOMES": output}
    env.update(ISOLATEDUNIT_HISTORY="none", PYTHONHASHSEED="0")
    command = ["-m", "pytest", "-q", "-p", "outcomes", "-p", "no:cacheprovider"]
    if face == "django":
        command = ["-m", "django", "test", "--noinput", "--testrunner", "outcomes.Runner"]
    found: dict[str, str] = {}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for part in suite.parts:
        if os.path.exists(output):
            os.unlink(output)
        whole = [sys.executable, *command, *options, *suite.arguments, *part]
        ended = subprocess.run(whole, cwd=here, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        try:
            with open(output, encoding="utf-8") as file:
                found.update(json.load(file))
        except OSError:
            print(ended.stdout.decode()[-2000:], ended.stderr.decode()[-2000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(face: str, name: str, suite: Suite, directory: str) -> tuple[int, int]:
    """Run the suite plainly and in the ways of the *face*, and print what differs; in how many it agrees, and not."""
    folder = fetch(suite.release, directory)
    plain, plainly = run(face, suite, folder, ())
    passed = failed = 0
    bad = sum(outcome in ("failed", "error", "unexpectedSuccess") for outcome in plain.values())
    print(f"{suite.release} ({name}): {len(plain)} tests, {bad} of them fail, {plainly:.1f} s of CPU time", flush=True)
    for options in suite.ways or (WAYS_OF_DJANGO if face == "django" else WAYS_OF_PYTEST):
        found, took = run(face, suite, folder, options)
        differing = sorted(one for one in {*plain, *found} if plain.get(one) != found.get(one))
        for one in differing:
            print(f"  {one}: {plain.get(one)} plainly, {found.get(one)} isolated")
        ratio = f"{took:.1f} s, {took / plainly:.1f} times as much" if plainly else ""
        print(f"  {' '.join(options)}: {len(differing)} of {len(plain)} differ; {ratio}", flush=True)
        if differing or not plain:
            failed += 1
        else:
            passed += 1
    return passed, failed


def main(face: str, directory: str, *names: str) -> int:
    """Compare the suites with these names, or all."""
    if directory == "needs":
        print("\n".join(NEEDS[face].split()))
        return 0
    suites = {"pytest": SUITES_OF_PYTEST, "rest_framework": SUITES_OF_REST_FRAMEWORK}.get(face) or _django_suites()
    directory = os.path.abspath(directory)
    counts = [compare(face, name, suites[name], directory) for name in names or suites]
    passed, failed = (sum(column) for column in zip(*counts, strict=True))
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
