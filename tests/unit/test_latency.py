"""Without these tests, a mechanism that hides latency could apply where it must not, or not where it can."""

from __future__ import annotations

import unittest
import unittest.mock
from dataclasses import replace
from typing import Any

from isolatedunit.config.options import Options
from isolatedunit.engine.scheduling.latency import LatencyPolicy
from isolatedunit.errors import BackendUnavailable
from isolatedunit.model.start_methods import START_METHODS

FORKED = {"prestart", "shared imports", "lookahead", "prebuilt"}
"""What applies with templates, if no option says otherwise."""

TABLE: tuple[tuple[dict[str, Any], set[str], set[str]], ...] = (
    # options, and what applies with them with forkserver, and with spawn
    ({}, FORKED, {"prespawn"}),
    ({"capture": False}, FORKED - {"prestart"}, {"prespawn"}),
    ({"fork_after": "start"}, FORKED - {"shared imports", "prebuilt"}, {"prespawn"}),
    ({"fork_after": "fixtures"}, FORKED, {"prespawn"}),
    ({"failfast": True}, FORKED - {"lookahead"}, {"prespawn"}),
    ({"max_failures": 1}, FORKED - {"lookahead"}, {"prespawn"}),
    ({"max_crashes": 1}, FORKED - {"lookahead"}, {"prespawn"}),
    ({"retries": 1}, FORKED - {"lookahead"}, {"prespawn"}),
    ({"memory_limit": 2**30}, FORKED - {"lookahead"}, {"prespawn"}),
    ({"profile": "profiles"}, FORKED - {"prebuilt"}, {"prespawn"}),
    ({"hunt_leaks": 3}, FORKED - {"prebuilt"}, {"prespawn"}),
    ({"memory_growth_limit": 2**20}, FORKED - {"prebuilt"}, {"prespawn"}),
    ({"debug": True}, FORKED - {"prebuilt"}, {"prespawn"}),
    ({"track_handles": "on"}, FORKED - {"prebuilt"}, {"prespawn"}),
    ({"leaks": "fail"}, FORKED - {"prebuilt"}, {"prespawn"}),
    ({"leaks": "fail", "track_handles": "off"}, FORKED, {"prespawn"}),
    ({"process_timeout": 1.0, "parallel_by": "test", "buffer": True, "cpu_limit": 1.0}, FORKED, {"prespawn"}),
)


def applying(policy: LatencyPolicy, options: Options) -> set[str]:
    """What applies to a run with this policy, and to a test with these options that is alone in its process."""
    answers = {
        "prestart": policy.prestarts,
        "shared imports": policy.shares_imports(options, options.fork_after),
        "lookahead": policy.orders_ahead(options, options),
        "prespawn": policy.prespawns,
        "prebuilt": policy.prebuilds(options, [options]),
    }
    return {name for name, applies in answers.items() if applies}


class PolicyTest(unittest.TestCase):
    def test_what_applies_to_a_run(self) -> None:
        for values, forked, spawned in TABLE:
            for start_method, expected in (("forkserver", forked), ("spawn", spawned)):
                with self.subTest(start_method, **values):
                    options = Options(**values).with_values({"start_method": start_method}, "")
                    self.assertEqual(applying(LatencyPolicy(options, start_method), options), expected)

    def test_auto_is_what_the_run_uses(self) -> None:
        for start_method, expected in (("forkserver", FORKED), ("spawn", {"prespawn"})):
            with self.subTest(start_method):
                self.assertEqual(applying(LatencyPolicy(Options(), start_method), Options()), expected)

    def test_nothing_applies_to_a_start_method_that_can_do_nothing(self) -> None:
        self.assertEqual(applying(LatencyPolicy(Options(), "teleport"), Options()), set())

    def test_a_test_may_differ_from_its_run(self) -> None:
        policy = LatencyPolicy(Options(start_method="spawn"), "spawn")
        self.assertEqual(applying(policy, Options(start_method="forkserver")), {*FORKED, "prespawn"} - {"prestart"})
        policy = LatencyPolicy(Options(start_method="forkserver"), "forkserver")
        self.assertEqual(applying(policy, Options(start_method="spawn")), {"prestart"})

    def test_what_may_be_ordered_after_what(self) -> None:
        policy = LatencyPolicy(Options(), "forkserver")
        plain, retried, limited = Options(), Options(retries=1), Options(memory_limit=2**30)
        spawned, forked = Options(start_method="spawn"), Options(start_method="forkserver")
        for first, second, expected in (
            (plain, retried, True),
            (retried, plain, False),
            (limited, plain, True),
            (plain, limited, False),
            (plain, forked, True),
            (plain, spawned, False),
            (spawned, plain, False),
        ):
            with self.subTest(first=first, second=second):
                self.assertEqual(policy.orders_ahead(first, second), expected)

    def test_only_a_test_alone_in_its_process_is_prebuilt(self) -> None:
        policy, options = LatencyPolicy(Options(), "forkserver"), Options()
        for count, expected in ((0, False), (1, True), (2, False)):
            self.assertEqual(policy.prebuilds(options, [options] * count), expected)
        self.assertFalse(policy.prebuilds(options, [replace(options, track_handles="on")]))

    def test_listing_the_tests_leaves_one_slot_less_for_expected_imports(self) -> None:
        self.assertEqual([LatencyPolicy(Options(), "forkserver").expected_imports(jobs) for jobs in (1, 4)], [0, 3])
        self.assertEqual(LatencyPolicy(Options(), "spawn").expected_imports(4), 0)
        self.assertEqual(LatencyPolicy(Options(fork_after="start"), "forkserver").expected_imports(4), 0)

    def test_a_start_method_that_this_system_lacks(self) -> None:
        odd: Any = next((name for name, method in START_METHODS.items() if "fork" in method.needs), "")
        with unittest.mock.patch("isolatedunit.config.start_method._has_all", lambda functions: not functions):
            with self.assertRaises(BackendUnavailable):
                LatencyPolicy.of(Options(start_method=odd))
            policy = LatencyPolicy.of(Options())
            self.assertEqual(policy.start_method, "spawn")
            # a test's own is its own error, which is reported when its child is made
            policy.shares_imports(Options(start_method=odd), "import")


if __name__ == "__main__":
    unittest.main()
