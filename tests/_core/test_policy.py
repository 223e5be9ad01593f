from __future__ import annotations

import math
import pickle
from datetime import timedelta
from typing import Any

import pytest

from recloser._core.policy import Policy
from recloser._core.recovery import Backoff, Wait
from recloser._core.trips import ConsecutiveFailures, FailureRate


def test_policy_is_right_by_default() -> None:
    assert Policy() == Policy(
        trip=ConsecutiveFailures(5),
        recovery=Wait(30, jitter=0.1),
        probes=1,
        probe_concurrency=1,
        probe_lease=30,
    )


def test_numbers_are_short_for_rules() -> None:
    policy = Policy(trip=3, recovery=7)

    assert (policy.trip, policy.recovery) == (ConsecutiveFailures(3), Wait(7))


def test_durations_may_be_timedeltas() -> None:
    minute = timedelta(minutes=1)

    assert Policy(recovery=minute, probe_lease=minute) == (
        Policy(recovery=60, probe_lease=60)
    )


def test_rules_and_recoveries_are_taken_as_they_are() -> None:
    rate, backoff = FailureRate(0.5), Backoff(5)

    policy = Policy(trip=rate, recovery=backoff)

    assert policy.trip is rate
    assert policy.recovery is backoff


def test_policy_is_a_value() -> None:
    assert len({Policy(), Policy(trip=5), Policy(trip=6)}) == 2
    assert pickle.loads(pickle.dumps(Policy(trip=6))) == Policy(trip=6)  # noqa: S301 - our own bytes
    with pytest.raises(AttributeError, match="Policy is frozen"):
        Policy().probes = 2  # type: ignore[misc] - the mistake is the test


def test_replace_changes_some_settings_and_checks_them_all() -> None:
    base = Policy(probes=3, probe_concurrency=3)

    assert base.replace(trip=9) == Policy(probes=3, probe_concurrency=3, trip=9)
    with pytest.raises(ValueError, match=r"at most probes \(2\), got 3"):
        base.replace(probes=2)


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (
            Policy(),
            "trip on 5 failures in a row; wait 30 s, give or take 10 %; 1 probe",
        ),
        (
            Policy(trip=2, recovery=Backoff(5), probes=3),
            (
                "trip on 2 failures in a row; "
                "wait 5 s times 2 per trip, at most 300 s; 3 probes"
            ),
        ),
    ],
)
def test_policy_reads_like_a_sentence(policy: Policy, text: str) -> None:
    assert str(policy) == text


TRIP = "trip must be a trip rule or a number of failures in a row"
SECONDS = "must be seconds or a timedelta"


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"trip": 0}, ValueError, "trip must be at least 1, got 0"),
        ({"trip": -1}, ValueError, "trip must be at least 1, got -1"),
        ({"trip": 5.0}, TypeError, f"{TRIP}, got 5.0"),
        ({"trip": True}, TypeError, f"{TRIP}, got True"),
        ({"trip": None}, TypeError, f"{TRIP}, got None"),
        ({"trip": "5"}, TypeError, f"{TRIP}, got '5'"),
        ({"trip": FailureRate}, TypeError, f"{TRIP}, got {FailureRate!r}"),
        ({"trip": Wait(5)}, TypeError, f"{TRIP}, got Wait(5, jitter=0.1)"),
        (
            {"recovery": 0},
            ValueError,
            "recovery must be more than 0 seconds, got 0",
        ),
        (
            {"recovery": timedelta(seconds=-1)},
            ValueError,
            f"recovery must be more than 0 seconds, got {timedelta(seconds=-1)!r}",
        ),
        ({"recovery": math.nan}, ValueError, "recovery must be finite, got nan"),
        ({"recovery": None}, TypeError, f"recovery {SECONDS}, got None"),
        ({"recovery": "30"}, TypeError, f"recovery {SECONDS}, got '30'"),
        ({"recovery": Wait}, TypeError, f"recovery {SECONDS}, got {Wait!r}"),
        ({"probes": 0}, ValueError, "probes must be at least 1, got 0"),
        ({"probes": 1.0}, TypeError, "probes must be a whole number, got 1.0"),
        ({"probes": None}, TypeError, "probes must be a whole number, got None"),
        (
            {"probe_concurrency": 0},
            ValueError,
            "probe_concurrency must be at least 1, got 0",
        ),
        (
            {"probe_concurrency": "2"},
            TypeError,
            "probe_concurrency must be a whole number, got '2'",
        ),
        (
            {"probes": 2, "probe_concurrency": 3},
            ValueError,
            "probe_concurrency must be at most probes (2), got 3",
        ),
        (
            {"probe_lease": 0},
            ValueError,
            "probe_lease must be more than 0 seconds, got 0",
        ),
        ({"probe_lease": None}, TypeError, f"probe_lease {SECONDS}, got None"),
        ({"probe_lease": math.inf}, ValueError, "probe_lease must be finite, got inf"),
    ],
    ids=str,
)
def test_bad_setting_is_shown_with_the_rule_it_broke(
    settings: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        Policy(**settings)

    assert str(caught.value) == message


def test_unknown_setting_is_refused() -> None:
    with pytest.raises(TypeError, match="fail_max"):
        Policy(fail_max=5)  # type: ignore[call-arg] - the mistake is the test


def test_policy_from_a_mapping_is_the_policy_that_it_describes() -> None:
    policy = Policy.from_mapping({"trip": "3", "recovery": 7, "probes": 2})

    assert policy == Policy(trip=3, recovery=7, probes=2)


def test_contradiction_inside_a_mapping_is_told_like_any_other() -> None:
    with pytest.raises(ValueError, match=r"at most probes \(1\), got 2"):
        Policy.from_mapping({"probe_concurrency": 2})
