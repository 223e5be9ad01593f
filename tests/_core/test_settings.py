"""Policies from settings files and the environment; every error shows its path."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from recloser._core.policy import Policy
from recloser._core.recovery import Backoff, Wait
from recloser._core.trips import ConsecutiveFailures, FailureRate, SlowCallRate
from recloser._core.windows import CountWindow, TimeWindow


def test_empty_mapping_is_the_default_policy() -> None:
    assert Policy.from_mapping({}) == Policy()


def test_whole_policy_can_be_plain_values() -> None:
    settings = {
        "trip": {
            "any": [
                {"consecutive_failures": 5, "within": 600},
                {"failure_rate": 0.5, "window": {"seconds": 60}, "minimum_calls": 10},
                {
                    "slow_call_rate": 0.8,
                    "slower_than": 2,
                    "window": {"calls": 100},
                },
            ]
        },
        "recovery": {"backoff": 5, "factor": 3, "maximum": 60, "fade": 30},
        "probes": 3,
        "probe_concurrency": 2,
        "probe_lease": 12.5,
    }

    assert Policy.from_mapping(settings) == Policy(
        trip=ConsecutiveFailures(5, within=600)
        | FailureRate(0.5, window=TimeWindow(60), minimum_calls=10)
        | SlowCallRate(0.8, slower_than=2, window=CountWindow(100)),
        recovery=Backoff(5, factor=3, maximum=60, fade=30),
        probes=3,
        probe_concurrency=2,
        probe_lease=12.5,
    )


def test_numbers_may_be_strings_as_the_environment_has_them() -> None:
    settings = {
        "trip": [
            "5",
            {"failure_rate": "0.5", "window": {"calls": "50"}, "minimum_calls": "7"},
        ],
        "recovery": {"wait": "1e1", "jitter": "0", "longest_hint": " 60 "},
        "probes": "2",
    }

    assert Policy.from_mapping(settings) == Policy(
        trip=ConsecutiveFailures(5)
        | FailureRate(0.5, window=CountWindow(50), minimum_calls=7),
        recovery=Wait(10, jitter=0, longest_hint=60),
        probes=2,
    )


@pytest.mark.parametrize(
    ("trip", "expected"),
    [
        (5, ConsecutiveFailures(5)),
        ("5", ConsecutiveFailures(5)),
        ({"consecutive_failures": 5}, ConsecutiveFailures(5)),
        (
            {"all": [5, {"failure_rate": 0.5}]},
            ConsecutiveFailures(5) & FailureRate(0.5),
        ),
        (
            {"any": [5, {"all": [3, {"failure_rate": 0.5}]}]},
            ConsecutiveFailures(5) | (ConsecutiveFailures(3) & FailureRate(0.5)),
        ),
        ((5, {"failure_rate": 0.5}), ConsecutiveFailures(5) | FailureRate(0.5)),
        (ConsecutiveFailures(5, within=9), ConsecutiveFailures(5, within=9)),
    ],
)
def test_trip_can_be_a_number_a_rule_or_rules(trip: object, expected: object) -> None:
    assert Policy.from_mapping({"trip": trip}).trip == expected


@pytest.mark.parametrize(
    ("recovery", "expected"),
    [
        (7, Wait(7)),
        ("7.5", Wait(7.5)),
        ({"wait": 7, "jitter": 0.5}, Wait(7, jitter=0.5)),
        ({"backoff": 7}, Backoff(7)),
        (Backoff(7), Backoff(7)),
    ],
)
def test_recovery_can_be_a_number_or_a_policy(
    recovery: object, expected: object
) -> None:
    assert Policy.from_mapping({"recovery": recovery}).recovery == expected


def test_any_mapping_will_do_and_none_is_changed() -> None:
    inner = {"failure_rate": 0.5, "window": MappingProxyType({"seconds": 9})}
    settings = MappingProxyType({"trip": inner})

    policy = Policy.from_mapping(settings)

    assert policy.trip == FailureRate(0.5, window=TimeWindow(9))
    assert inner == {"failure_rate": 0.5, "window": {"seconds": 9}}


RULES = "consecutive_failures, failure_rate, slow_call_rate, false_trips, any, all"


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        # what is no mapping
        (None, TypeError, "settings: must be a mapping with string keys, got None"),
        ([5], TypeError, "settings: must be a mapping with string keys, got [5]"),
        (
            {5: 5},
            TypeError,
            "settings: must be a mapping with string keys, got {5: 5}",
        ),
        (
            {"trip": {5: 5}},
            TypeError,
            "trip: must be a mapping with string keys, got {5: 5}",
        ),
        (
            {"trip": {"failure_rate": 0.5, "window": 60}},
            TypeError,
            "trip.window: must be a mapping with string keys, got 60",
        ),
        # names
        (
            {"tripp": 5},
            ValueError,
            (
                "tripp: unknown; known here: "
                "probe_concurrency, probe_lease, probes, ramp, recovery, trip"
            ),
        ),
        (
            {"trip": {"failure_rate": 0.5, "windo": 5}},
            ValueError,
            "trip.windo: unknown; known here: failure_rate, minimum_calls, window",
        ),
        (
            {"trip": {"any": [5], "within": 9}},
            ValueError,
            "trip.within: unknown; known here: any",
        ),
        (
            {"recovery": {"wait": 5, "factor": 2}},
            ValueError,
            "recovery.factor: unknown; known here: jitter, longest_hint, wait",
        ),
        (
            {"trip": {"failure_rate": 0.5, "window": {"calls": 5, "age": 5}}},
            ValueError,
            "trip.window.age: unknown; known here: calls",
        ),
        # exactly one
        (
            {"trip": {}},
            ValueError,
            f"trip: must have exactly one of {RULES}, got {{}}",
        ),
        (
            {"trip": {"consecutive_failures": 5, "failure_rate": 0.5}},
            ValueError,
            (
                f"trip: must have exactly one of {RULES}, "
                "got {'consecutive_failures': 5, 'failure_rate': 0.5}"
            ),
        ),
        (
            {"recovery": {"factor": 2}},
            ValueError,
            "recovery: must have exactly one of wait, backoff, adaptive, shed, got {'factor': 2}",
        ),
        (
            {"trip": {"failure_rate": 0.5, "window": {"calls": 5, "seconds": 5}}},
            ValueError,
            (
                "trip.window: must have exactly one of seconds, calls, "
                "got {'calls': 5, 'seconds': 5}"
            ),
        ),
        # lists
        ({"trip": []}, ValueError, "trip: must name at least one rule, got []"),
        (
            {"trip": {"all": []}},
            ValueError,
            "trip.all: must name at least one rule, got []",
        ),
        ({"trip": {"any": 5}}, TypeError, "trip.any: must be a list, got 5"),
        ({"trip": {"any": "55"}}, TypeError, "trip.any: must be a list, got '55'"),
        ({"trip": {"any": b"55"}}, TypeError, "trip.any: must be a list, got b'55'"),
        (
            {"trip": b"55"},
            TypeError,
            "trip must be a trip rule or a number of failures in a row, got b'55'",
        ),
        # numbers
        ({"trip": "five"}, ValueError, "trip: must be a number, got 'five'"),
        ({"probes": ""}, ValueError, "probes: must be a number, got ''"),
        ({"probes": "1.5"}, TypeError, "probes must be a whole number, got 1.5"),
        ({"recovery": "nan"}, ValueError, "recovery must be finite, got nan"),
        (
            {"trip": {"consecutive_failures": None}},
            TypeError,
            "trip.consecutive_failures: failures must be a whole number, got None",
        ),
        (
            {"trip": {"any": [5, {"failure_rate": 50}]}},
            ValueError,
            (
                "trip.any[1].failure_rate: rate must be in (0, 1], got 50 "
                "(rates are fractions: did you mean 0.5?)"
            ),
        ),
        (
            {"trip": [5, [{"failure_rate": 0.5, "minimum_calls": "x"}]]},
            ValueError,
            "trip[1][0].minimum_calls: must be a number, got 'x'",
        ),
        (
            {"trip": {"any": [0]}},
            ValueError,
            "trip.any[0]: failures must be at least 1, got 0",
        ),
        (
            {"trip": {"failure_rate": 0.5, "window": {"seconds": -1}}},
            ValueError,
            "trip.window.seconds: seconds must be more than 0 seconds, got -1",
        ),
        (
            {"recovery": {"backoff": 5, "factor": "0.5"}},
            ValueError,
            "recovery.backoff: factor must be at least 1, got 0.5",
        ),
        (
            {"recovery": "soon"},
            ValueError,
            "recovery: must be a number, got 'soon'",
        ),
        (
            {"recovery": {1: 5}},
            TypeError,
            "recovery: must be a mapping with string keys, got {1: 5}",
        ),
        (
            {"recovery": {"wait": "soon"}},
            ValueError,
            "recovery.wait: must be a number, got 'soon'",
        ),
        # contradictions
        (
            {
                "trip": {
                    "all": [
                        {"slow_call_rate": 0.5, "slower_than": 1},
                        {"consecutive_failures": 5, "slower_than": 2},
                    ]
                }
            },
            ValueError,
            "trip: one breaker has one slower_than: a policy cannot have 1 and 2",
        ),
        (
            {
                "trip": [
                    {"slow_call_rate": 0.5, "slower_than": 1},
                    {"consecutive_failures": 5, "slower_than": 2},
                ]
            },
            ValueError,
            "trip: one breaker has one slower_than: a policy cannot have 1 and 2",
        ),
    ],
    ids=str,
)
def test_error_shows_the_path_to_the_bad_value(
    settings: Any, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        Policy.from_mapping(settings)

    assert str(caught.value) == message


def test_slow_call_rate_without_its_limit_names_what_is_missing() -> None:
    with pytest.raises(TypeError, match=r"^trip\.slow_call_rate: .*slower_than"):
        Policy.from_mapping({"trip": {"slow_call_rate": 0.5}})
