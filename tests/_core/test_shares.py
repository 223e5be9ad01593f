"""Ramps and shedding: what a round comes to. I11 to I13."""

from __future__ import annotations

from math import exp
from typing import Any

import pytest

from recloser._core import rules
from recloser._core.outcomes import FailureInfo, Kind, Outcome
from recloser._core.phases import (
    Admission,
    Closed,
    HalfOpen,
    Link,
    Open,
    Origin,
    Ramping,
    Shedding,
    Word,
)
from recloser._core.policy import Policy
from recloser._core.recovery import Adaptive, Backoff, Shed, Wait
from recloser._core.rules import Admitted, Refused
from recloser._core.shares import Ramp
from recloser._core.states import State
from recloser._core.windows import Evidence

GOOD, BAD = Outcome(Kind.SUCCESS), Outcome(Kind.FAILURE)
NEUTRAL = Outcome(Kind.NEUTRAL)
SLOW_GOOD = Outcome(Kind.SUCCESS, slow=True)
SLOW_CANCELLED = Outcome(Kind.NEUTRAL, slow=True, cancelled=True)
POLICY = Policy(trip=2, recovery=Adaptive(jitter=0), ramp=Ramp())


def ramping(**changes: Any) -> Ramping:
    known = {"epoch": 4, "since": 0.0, "trips": 1, "reason": "2 failures in a row"}
    return Ramping(**{**known, "share": 0.25, "began": 0.0, **changes})


def answered(phase: Any, *outcomes: Outcome, policy: Policy = POLICY) -> Any:
    for outcome in outcomes:
        given = Admission(phase.epoch)
        phase = rules.settle(policy, phase, given, outcome, Evidence(), 0.5, 0.5)
    return phase


def called(phase: Any, now: float, policy: Policy = POLICY, chance: float = 0.0) -> Any:
    verdict = rules.admit(policy, phase, now, chance)
    assert isinstance(verdict, Admitted)
    return verdict.phase


# -- settings ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"steps": ()}, TypeError, "steps must be a list of shares, got ()"),
        ({"steps": 0.5}, TypeError, "steps must be a list of shares, got 0.5"),
        ({"steps": (0.5,)}, ValueError, "steps must grow and end with 1, got (0.5,)"),
        ({"steps": (0.5, 0.5, 1)}, ValueError, "steps must grow and end with 1"),
        ({"steps": (25, 100)}, ValueError, "did you mean 0.25?"),
        ({"round": 0}, ValueError, "round must be more than 0 seconds, got 0"),
        ({"round": 2, "patience": 1}, ValueError, "patience must be at least round"),
        ({"floor": 0.5}, ValueError, "floor must be at most the first step (0.25)"),
        ({"evidence": -1}, ValueError, "evidence must be at least 0, got -1"),
        ({"failures": 0}, ValueError, "failures must be at least 1, got 0"),
        ({"failure_rate": 0}, ValueError, "failure_rate must be in (0, 1], got 0"),
        ({"minimum_calls": 0}, ValueError, "minimum_calls must be at least 1, got 0"),
        ({"fade": -1}, ValueError, "fade must be"),
    ],
)
def test_bad_ramp_is_refused_when_it_is_made(
    options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error) as caught:
        Ramp(**options)

    assert text in str(caught.value)


def test_policy_takes_a_ramp_in_three_ways_and_says_so() -> None:
    assert Policy(ramp=True).ramp == Ramp()
    assert Policy(ramp=False).ramp is None
    assert Policy(ramp=Ramp([0.1, 1])).ramp == Ramp((0.1, 1.0))
    assert str(Policy(ramp=True)).endswith("ramp by 25 %, 50 %, 100 %, 1 s each")


def test_ramp_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="ramp must be a Ramp, True or None, got 3"):
        Policy(ramp=3)  # type: ignore[arg-type]


def test_shed_needs_no_ramp() -> None:
    with pytest.raises(ValueError, match="ramp must be left out with Shed"):
        Policy(recovery=Shed(), ramp=Ramp())


@pytest.mark.parametrize(
    ("steps", "fastest"),
    [((0.25, 0.5, 1), 2.0), ((0.1, 1), 10.0), ((0.98, 1), 1.5), ((1,), 2.0)],
)
def test_growth_beyond_the_safe_share_is_bounded_by_the_steps(
    steps: tuple[float, ...], fastest: float
) -> None:
    assert Ramp(steps).fastest == pytest.approx(fastest)


# -- a ramp ------------------------------------------------------------------------------


def test_enough_probes_begin_the_ramp() -> None:
    round_of_probes = HalfOpen(
        epoch=3, since=0.0, trips=1, reason="why", issued=1, lost=1
    )

    after = rules.settle(
        POLICY, round_of_probes, Admission(3, 1), GOOD, Evidence(), 1.0, 0.5
    )

    assert after == Ramping(
        epoch=4, since=1.0, trips=1, reason="why", share=0.25, began=1.0
    )


def test_share_grows_by_its_steps_and_closes_after_a_round_at_one() -> None:  # I12
    phase: Any = ramping()
    shares = []

    for second in (1.0, 2.0):
        phase = called(answered(phase, GOOD), second)
        shares.append(phase.share)
    closed = called(answered(phase, GOOD), 3.0)

    assert shares == [0.5, 1.0]
    assert closed == Closed(epoch=5, since=3.0, trips=1, ramped=True)


def test_growth_beyond_a_safe_share_begins_gently() -> None:
    phase: Any = ramping(share=0.125, safe=0.125)
    factors = []

    for second in range(1, 6):
        before, phase = phase.share, called(answered(phase, GOOD), float(second))
        factors.append(round(phase.share / before, 6))

    assert factors == [1.1, 1.2, 1.4, 1.8, 2.0]


def test_round_waits_for_a_good_answer_until_its_patience_ends() -> None:
    phase = answered(ramping(), BAD, BAD)

    assert called(phase, 4.9) is phase
    assert called(phase, 5.0).share == 0.5


def test_bad_answers_in_a_row_open_with_the_shortest_wait() -> None:  # I13
    phase = answered(ramping(share=0.5), GOOD, BAD, BAD, BAD)

    assert isinstance(phase, Open)
    assert phase.reason == "3 bad answers in a row with 0.5 of the calls"
    assert (phase.until - phase.since, phase.safe, phase.outage) == (1.0, 0.25, None)


def test_aborted_ramp_does_not_lengthen_a_growing_wait() -> None:
    policy = POLICY.replace(recovery=Backoff(5, jitter=0))

    phase = answered(ramping(trips=2), BAD, BAD, BAD, policy=policy)

    assert (phase.trips, phase.until - phase.since) == (2, 10.0)


def test_good_answer_ends_the_row() -> None:
    phase = answered(ramping(), BAD, BAD, GOOD, BAD, BAD)

    assert isinstance(phase, Ramping)
    assert (phase.good, phase.bad, phase.row) == (1, 4, 2)


def test_half_bad_round_cuts_the_share_and_begins_a_period() -> None:  # I4, I11
    phase = answered(ramping(share=0.5, grown=3), BAD, GOOD, BAD, GOOD, BAD)

    after = called(phase, 1.0)
    again = rules.settle(
        POLICY, after, Admission(phase.epoch), BAD, Evidence(), 1.1, 0.5
    )

    assert (after.share, after.safe, after.grown) == (0.35, 0.35, 0)
    assert (after.epoch, after.since, after.good, after.bad) == (5, 1.0, 0, 0)
    assert again is after


def test_share_never_leaves_its_bounds_and_grows_in_good_rounds() -> None:  # I11
    for safe in (None, 0.05, 0.3, 0.5, 0.9):
        phase: Any = ramping(share=safe or 0.25, safe=safe)
        shares = [phase.share]

        for second in range(1, 60):
            phase = called(answered(phase, GOOD), float(second))
            if isinstance(phase, Closed):
                break
            shares.append(phase.share)

        assert isinstance(phase, Closed)
        assert shares == sorted(shares)
        assert shares[-1] == 1.0
        assert all(0.05 <= share <= 1 for share in shares)


def test_round_below_one_never_closes() -> None:  # I12
    almost = answered(ramping(share=0.999, safe=0.999), GOOD)

    after = called(almost, 1.0)

    assert isinstance(after, Ramping)
    assert after.share == 1.0


@pytest.mark.parametrize("chance", [0.0, 0.25, 0.999])
def test_wait_after_an_abort_is_the_shortest_give_or_take_a_quarter(
    chance: float,
) -> None:
    policy = POLICY.replace(recovery=Adaptive())
    phase: Any = ramping(row=2)

    opened: Any = rules.settle(
        policy, phase, Admission(4), BAD, Evidence(), 900.0, chance
    )

    assert 0.75 <= opened.until - opened.since <= 1.25


def test_second_trip_soon_after_closing_begins_at_half_and_gently() -> None:
    closed = Closed(epoch=7, since=0.0, trips=1, ramped=True)
    row = Evidence(streak=2)
    opened = rules.settle(POLICY, closed, Admission(7), BAD, row, 29.0, 0.5)
    probing: Any = called(opened, 60.0)
    phase: Any = rules.settle(
        POLICY, probing, Admission(9, 1), GOOD, Evidence(), 60.0, 0.5
    )
    shares = [phase.share]

    for second in range(61, 66):
        phase = called(answered(phase, GOOD), float(second))
        shares.append(round(getattr(phase, "share", 0.0), 6))

    assert shares == [0.5, 0.55, 0.66, 0.924, 1.0, 0.0]


def test_cut_needs_enough_answers() -> None:
    phase = answered(ramping(), BAD, GOOD, BAD, GOOD)

    assert called(phase, 1.0).share == 0.5


def test_share_stays_above_its_floor() -> None:
    low = ramping(share=0.06)

    cut = called(answered(low, BAD, GOOD, BAD, GOOD, BAD), 1.0)
    opened = answered(low, BAD, BAD, BAD)

    assert (cut.share, opened.safe) == (0.05, 0.05)


@pytest.mark.parametrize(
    ("outcome", "good", "bad"),
    [(NEUTRAL, 0, 0), (SLOW_GOOD, 1, 0), (SLOW_CANCELLED, 0, 1)],
)
def test_slow_answer_is_good_and_a_slow_cancellation_bad(
    outcome: Outcome, good: int, bad: int
) -> None:
    phase = answered(ramping(), outcome)

    assert (phase.good, phase.bad) == (good, bad)


def test_trip_soon_after_a_ramp_makes_the_next_one_gentler() -> None:
    closed = Closed(epoch=7, since=0.0, trips=1, ramped=True)
    row = Evidence(streak=2)

    safe = [
        getattr(
            rules.settle(POLICY, closed, Admission(7), BAD, row, now, 0.5), "safe", 0
        )
        for now in (29.9, 30.0)
    ]

    assert safe == [0.5, None]


@pytest.mark.parametrize(
    ("given", "ramped", "counts_as"),
    [
        (Admission(6), True, Admission(7)),
        (Admission(6), False, Admission(6)),
        (Admission(6, 1), True, Admission(6, 1)),
        (Admission(5), True, Admission(5)),
        (Admission(7), True, Admission(7)),
    ],
)
def test_call_of_a_ramp_counts_in_the_period_that_it_led_to(
    given: Admission,
    ramped: bool,  # noqa: FBT001
    counts_as: Admission,
) -> None:  # I4
    closed = Closed(epoch=7, since=0.0, ramped=ramped)

    assert rules.counting(closed, given) == counts_as
    assert rules.counting(ramping(epoch=7), given) == given


def test_rejection_while_ramping_says_why_and_when_the_share_is_looked_at() -> None:
    early = rules.admit(POLICY, ramping(), 0.25, 0.25)
    late = rules.admit(POLICY, ramping(), 2.0, 0.9)

    why = "only 25 % of the calls go through while they return (2 failures in a row)"
    assert early == Refused(why, 0.75)
    assert late == Refused(why, 3.0)


def test_refused_call_ends_a_round_too() -> None:
    verdict = rules.admit(POLICY, answered(ramping(), GOOD), 1.0, 0.75)

    assert isinstance(verdict, Refused)
    assert verdict.phase == ramping(share=0.5, began=1.0)


def test_ramp_ends_where_a_new_policy_has_none() -> None:
    after = called(ramping(), 0.1, Policy(recovery=Wait(1)))

    assert after == Closed(epoch=5, since=0.1, trips=1)


# -- shedding ----------------------------------------------------------------------------

SHEDS = Policy(trip=2, recovery=Shed(2.0, memory=60.0, floor=0.1))


def shedding(**changes: Any) -> Shedding:
    known = {"epoch": 4, "since": 0.0, "trips": 1, "reason": "2 failures in a row"}
    return Shedding(**{**known, "began": 0.0, "quiet": 0.0, **changes})


def test_trip_begins_to_shed_and_rejects_nobody_at_first() -> None:
    row = Evidence(streak=2)
    closed = Closed(epoch=3, since=-9.0)

    after = rules.settle(SHEDS, closed, Admission(3), BAD, row, 0.0, 0.5)

    assert after == shedding(evidence=row)
    assert called(after, 0.5, SHEDS, chance=0.99).calls == 1.0


@pytest.mark.parametrize(
    ("calls", "accepted", "share"),
    [(100, 70, 1.0), (100, 50, 1.0), (100, 40, 0.802), (100, 0, 0.1)],
)
def test_share_follows_what_is_answered(
    calls: float, accepted: float, share: float
) -> None:
    phase = shedding(calls=float(calls), accepted=float(accepted))

    after = called(phase, 1.0, SHEDS)

    assert after.share == pytest.approx(share, abs=0.004)


def test_shedding_counts_calls_that_it_rejects() -> None:
    verdict = rules.admit(SHEDS, shedding(share=0.5, began=0.5), 1.0, 0.7)

    assert isinstance(verdict, Refused)
    assert verdict.phase == shedding(share=0.5, began=0.5, calls=1.0)
    assert verdict.retry_after == 0.5
    assert verdict.reason.startswith("only 50 % of the calls go through while they are")


def test_shedding_closes_when_nothing_was_shed_for_as_long_as_it_remembers() -> None:
    phase = shedding(calls=10.0, accepted=10.0)

    assert isinstance(called(phase, 59.0, SHEDS), Shedding)
    assert called(phase, 60.0, SHEDS) == Closed(epoch=5, since=60.0, trips=1)


def test_circuit_opened_by_hand_stays_open_and_then_sheds() -> None:
    closed = Closed(epoch=1, since=0.0)

    opened = rules.override(SHEDS, closed, rules.Command.TRIP, 0.0, 0.5)

    assert isinstance(opened, Open)
    assert opened.until == 30.0
    assert isinstance(called(opened, 30.0, SHEDS), Shedding)


def test_shedding_ends_where_a_new_policy_does_not_shed() -> None:
    assert called(shedding(), 0.1, POLICY) == Closed(epoch=5, since=0.1, trips=1)


def test_share_forgets_by_the_formula_that_it_states() -> None:
    shed = Policy(trip=2, recovery=Shed(1.5, memory=40, floor=0.1))
    kept = exp(-2 * 3 / 40)
    share = 1 - (90 * kept - 1.5 * 20 * kept) / (90 * kept + 1)

    after = called(shedding(calls=90.0, accepted=20.0), 3.0, shed)

    assert (after.began, after.quiet) == (3.0, 3.0)
    assert after.calls == pytest.approx(90 * kept + 1)
    assert after.accepted == pytest.approx(20 * kept)
    assert after.share == pytest.approx(share)


def test_shedding_counts_each_answer_once_and_no_failure() -> None:
    after = answered(shedding(), GOOD, BAD, GOOD, SLOW_CANCELLED, policy=SHEDS)

    assert after == shedding(accepted=2.0)


def test_nothing_shed_keeps_the_time_since_when() -> None:
    phase = shedding(calls=10.0, accepted=10.0, quiet=-7.0)

    assert called(phase, 2.0, SHEDS).quiet == -7.0


# -- what an opening remembers of a ramp -------------------------------------------------


SAFE = [
    (ramping(share=0.8), 0.4),
    (ramping(share=0.06), 0.05),
    (HalfOpen(epoch=4, since=0.0, trips=1, reason="", safe=0.3), 0.3),
    (HalfOpen(epoch=4, since=0.0, trips=1, reason=""), None),
    (Closed(epoch=4, since=0.0), None),
]


@pytest.mark.parametrize(("phase", "safe"), SAFE, ids=repr)
def test_word_that_opens_speaks_against_the_share_too(
    phase: Any, safe: float | None
) -> None:
    word = Word(state=State.OPEN, epoch=1, remaining=5.0)

    after = rules.adopt(POLICY, phase, Link(origin=Origin.HOST), word, 1.0)

    assert isinstance(after, Open)
    assert after.safe == safe


@pytest.mark.parametrize("safe", [0.3, None])
def test_trip_by_hand_keeps_the_share_that_was_safe(safe: float | None) -> None:
    phase = ramping(share=0.8, safe=safe)

    after = rules.override(POLICY, phase, rules.Command.TRIP, 1.0, 0.5)

    assert isinstance(after, Open)
    assert after.safe == safe


def test_ramp_carries_on_what_the_outage_was_about() -> None:
    failure = FailureInfo(type="OSError", message="down", at=0.0)
    facts: dict[str, Any] = {
        "trips": 3,
        "reason": "2 failures in a row",
        "failure": failure,
        "evidence": Evidence(streak=2),
        "origin": Origin.FLEET,
        "safe": 0.3,
    }
    probing = HalfOpen(epoch=4, since=0.0, **facts)
    policy = POLICY.replace(recovery=Wait(10))

    probed = called(probing, 1.0, policy)
    after = rules.settle(
        policy, probed, Admission(4, probed.places[0].number), GOOD, Evidence(), 2.0, 0
    )

    assert after == Ramping(epoch=5, since=2.0, share=0.3, began=2.0, **facts)


@pytest.mark.parametrize(
    ("share", "grown", "after"),
    [(0.3, 0, 0.33), (0.3, 1, 0.36), (0.3, 3, 0.54), (0.3, 99, 0.6), (0.9, 5, 1.0)],
)
def test_growth_beyond_a_safe_share_doubles_up_to_its_bound(
    share: float, grown: int, after: float
) -> None:
    phase = ramping(share=share, safe=0.2, grown=grown, good=1)

    following = called(phase, 1.0)

    assert following.share == pytest.approx(after)
    assert following.grown == min(grown + 1, 99)


@pytest.mark.parametrize(("bad", "cut"), [(2, False), (3, True)])
def test_share_is_cut_when_exactly_half_was_bad(bad: int, *, cut: bool) -> None:
    phase = ramping(share=0.5, good=3, bad=bad)

    assert (called(phase, 1.0).share < 0.5) == cut


def test_defaults_of_a_ramp_are_what_is_documented() -> None:
    assert (Ramp().patience, Ramp(round=8).patience) == (5.0, 8.0)
    assert (Ramp().floor, Ramp((0.02, 1)).floor) == (0.05, 0.02)
    assert Ramp(round=3, patience=3).patience == 3.0
    assert Ramp((0.5, 1), floor=0.5).floor == 0.5


def test_word_shuts_a_shedding_policy_no_longer_than_one_opened_by_hand() -> None:
    word = Word(state=State.OPEN, epoch=1, remaining=1e9)
    closed = Closed(epoch=1, since=0.0)

    after = rules.adopt(SHEDS, closed, Link(origin=Origin.HOST), word, 0.0)

    assert isinstance(after, Open)
    assert after.until == pytest.approx(33.0)
