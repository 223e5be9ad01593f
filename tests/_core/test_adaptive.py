"""`Adaptive`: a wait by the time dead, and the reject rule. I14."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recloser._core import rules
from recloser._core.outcomes import Kind, Outcome
from recloser._core.phases import Admission, Closed, Command, HalfOpen, Open
from recloser._core.policy import Policy
from recloser._core.recovery import Adaptive, Shed
from recloser._core.rules import Admitted, Refused
from recloser._core.windows import Evidence


@pytest.mark.parametrize(
    ("dead", "wait"), [(0, 1), (9, 1), (10, 1), (50, 5), (300, 30), (1e6, 30)]
)
def test_wait_is_a_tenth_of_the_time_dead_within_bounds(
    dead: float, wait: float
) -> None:
    assert Adaptive(jitter=0).wait(1, 0.5, dead=dead) == pytest.approx(wait)


@given(dead=st.floats(0, 1e9), chance=st.floats(0, 1, exclude_max=True))
def test_jitter_keeps_the_wait_within_a_quarter(dead: float, chance: float) -> None:
    adaptive = Adaptive()

    wait = adaptive.wait(1, chance, dead=dead)

    plain = min(max(0.1 * dead, 1.0), 30.0)
    assert 0.75 * plain <= wait <= 1.25 * plain <= 37.5
    assert wait <= adaptive.longest


@pytest.mark.parametrize(
    ("hint", "wait"), [(0.0, 1.0), (5.0, 5.0), (30.0, 30.0), (3600.0, 30.0)]
)
def test_hint_replaces_the_wait_but_not_beyond_the_maximum(
    hint: float, wait: float
) -> None:
    adaptive = Adaptive()

    assert adaptive.wait(1, 0.0, hint, dead=200.0) == wait
    assert adaptive.wait(1, 0.8, hint) == pytest.approx(wait * 1.2)


def test_ceiling_of_hints_can_be_raised() -> None:
    adaptive = Adaptive(longest_hint=600)

    assert adaptive.wait(1, 0.0, 3600.0) == 600.0
    assert adaptive.longest == 750.0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"fraction": 0}, "fraction must be in (0, 1], got 0"),
        ({"fraction": 10}, "did you mean 0.1?"),
        ({"minimum": 0}, "minimum must be more than 0 seconds, got 0"),
        ({"minimum": 5, "maximum": 2}, "maximum must be at least minimum (5 s), got 2"),
        ({"jitter": 1}, "jitter must be in [0, 1), got 1"),
        ({"rejections": -1}, "rejections must be at least 0, got -1"),
        ({"waiver": 0}, "waiver must be more than 0 seconds, got 0"),
        ({"longest_hint": 0}, "longest_hint must be more than 0 seconds, got 0"),
    ],
)
def test_bad_number_is_refused_when_it_is_made(
    options: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError) as caught:
        Adaptive(**options)

    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"k": 0.5}, "k must be at least 1, got 0.5"),
        ({"memory": 0}, "memory must be more than 0 seconds, got 0"),
        ({"floor": 0}, "floor must be in (0, 1], got 0"),
    ],
)
def test_bad_number_of_shed_is_refused_when_it_is_made(
    options: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError) as caught:
        Shed(**options)

    assert text in str(caught.value)


def test_policies_say_what_they_do() -> None:
    assert str(Adaptive()) == "10 % of the time dead, from 1 s to 30 s"
    assert str(Shed()) == "nothing, but shed beyond 2 calls for each that is answered"


# -- in the rules ------------------------------------------------------------------------

POLICY = Policy(trip=1, recovery=Adaptive(jitter=0), probe_lease=5)
BAD = Outcome(Kind.FAILURE)


def opened() -> Open:
    closed = Closed(epoch=1, since=-5.0)
    row = Evidence(streak=1)
    after = rules.settle(POLICY, closed, Admission(1), BAD, row, 0.0, 0.5)
    assert isinstance(after, Open)
    return after


@pytest.mark.parametrize(
    ("now", "rejected", "admitted"),
    [
        (0.9, 10, False),
        (1.0, 10, True),
        (1.0, 9, False),
        (29.9, 9, False),
        (30.0, 0, True),
    ],
)
def test_probe_needs_ten_rejected_calls_or_thirty_seconds(
    now: float,
    rejected: int,
    admitted: bool,  # noqa: FBT001
) -> None:
    verdict = rules.admit(POLICY, opened(), now, 0.0, rejected)

    assert isinstance(verdict, Admitted) == admitted


def test_refusal_after_the_wait_says_what_is_missing() -> None:
    verdict = rules.admit(POLICY, opened(), 2.0, 0.0, 7)

    why = "the wait is over; a probe follows when 3 more calls are rejected"
    assert verdict == Refused(f"{why} (1 failure in a row)", 28.0)


def test_permission_ends_the_wait_and_waives_the_rejections() -> None:
    phase = rules.override(POLICY, opened(), Command.PERMIT, 0.25, 0.5)

    verdict = rules.admit(POLICY, phase, 0.25)

    assert isinstance(verdict, Admitted)
    assert isinstance(verdict.phase, HalfOpen)


def test_failed_probes_lengthen_the_wait_by_the_time_dead() -> None:
    phase: Any = opened()
    waits = []

    for now in (50.0, 100.0, 400.0):
        verdict = rules.admit(POLICY, phase, now)
        assert isinstance(verdict, Admitted)
        given = verdict.admission
        phase = rules.settle(POLICY, verdict.phase, given, BAD, Evidence(), now, 0.5)
        waits.append(phase.until - phase.since)

    assert waits == pytest.approx([5.0, 10.0, 30.0])
