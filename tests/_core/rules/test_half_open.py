"""Half-open: a few probes decide. I2, I3, I4, I6, I8."""

from __future__ import annotations

import pytest

from recloser._core.outcomes import Kind, Outcome
from recloser._core.phases import Admission, Closed, HalfOpen, Open, Place
from recloser._core.recovery import Backoff
from recloser._core.rules import settle

from .moves import (
    BAD,
    BOOM,
    GOOD,
    NEUTRAL,
    NOTHING,
    SLOW_BAD,
    SLOW_CANCELLED,
    SLOW_GOOD,
    admitted,
    closed,
    ended,
    policy,
    probing,
    refused,
)


def test_probe_gets_a_numbered_place_until_its_lease_ends() -> None:
    phase, admission = admitted(policy(probe_lease=5), probing(), 12.0)

    assert admission == Admission(epoch=3, place=1)
    assert phase == probing(17.0)


def test_second_caller_is_refused_until_the_lease_of_the_first_ends() -> None:
    verdict = refused(policy(), probing(17.0), 12.0)

    assert verdict == ("2 failures in a row", 5.0)  # I6


def test_as_many_probes_are_in_flight_as_the_policy_says() -> None:  # I2
    rules = policy(probes=3, probe_concurrency=2)

    first, _ = admitted(rules, probing(), 10.0)
    second, _ = admitted(rules, first, 11.0)
    third = refused(rules, second, 12.0)

    assert second == probing(15.0, 16.0)
    assert third == ("2 failures in a row", 3.0)


def test_no_more_probes_than_the_round_needs_are_in_flight() -> None:  # I2
    rules = policy(probes=2, probe_concurrency=2)
    phase = probing(17.0, successes=1)

    verdict = refused(rules, phase, 12.0)

    assert verdict == ("2 failures in a row", 5.0)


def test_place_of_a_probe_whose_lease_ended_goes_to_the_next_caller() -> None:  # I3
    phase, admission = admitted(policy(), probing(17.0), 17.0)

    assert admission == Admission(epoch=3, place=2)
    assert phase == probing(places=(Place(2, 22.0),), issued=2, lost=1)


def test_lease_is_over_at_the_very_moment_it_names() -> None:  # I6
    _, left = refused(policy(), probing(17.0), 12.0)
    assert left is not None

    phase, _ = admitted(policy(), probing(17.0), 12.0 + left)

    assert isinstance(phase, HalfOpen)


def test_hanging_probes_never_shut_the_door_for_good() -> None:  # I3
    rules = policy(probe_lease=5)
    phase, now = probing(), 10.0

    for _ in range(100):
        phase, _ = admitted(rules, phase, now)
        now += 5.0

    assert isinstance(phase, HalfOpen)
    assert (phase.issued, phase.lost) == (100, 99)


def test_outcome_after_the_lease_still_counts_in_its_round() -> None:
    phase, _ = admitted(policy(), probing(17.0), 17.0)

    after = ended(policy(), phase, GOOD, place=1, now=40.0)

    assert after == closed(epoch=4, since=40.0, trips=1)


def test_failure_after_the_lease_still_reopens_its_round() -> None:
    phase, _ = admitted(policy(), probing(17.0), 17.0)

    after = ended(policy(), phase, BAD, place=1, now=40.0)

    assert isinstance(after, Open)
    assert (after.epoch, after.until) == (4, 50.0)


def test_outcome_of_a_lost_probe_takes_nobody_elses_place() -> None:
    rules = policy(probes=2)
    phase, _ = admitted(rules, probing(17.0), 17.0)

    after = ended(rules, phase, GOOD, place=1, now=18.0)

    assert after == probing(places=(Place(2, 22.0),), issued=2, lost=0, successes=1)


def test_ended_lease_is_no_failure() -> None:
    rules = policy(probes=2)

    phase, _ = admitted(rules, probing(17.0), 1000.0)

    assert isinstance(phase, HalfOpen)
    assert phase.trips == 1


def test_retry_after_waits_for_as_many_leases_as_it_takes() -> None:  # I3, I6
    rules = policy(probes=2, probe_concurrency=2, probe_lease=5)
    lost_two = probing(places=(Place(3, 20.0), Place(4, 21.0)), issued=4, lost=2)
    crowded = ended(rules, lost_two, GOOD, place=1, now=16.0)

    verdict = refused(rules, crowded, 16.0)

    # One success, and two in flight where one is needed: 3's end frees no place.
    assert verdict == ("2 failures in a row", 5.0)
    assert refused(rules, crowded, 20.0) == ("2 failures in a row", 1.0)
    assert admitted(rules, crowded, 21.0)[1].place == 5


def test_retry_after_is_honest_when_concurrency_was_lowered_meanwhile() -> None:  # I6
    lowered = policy(probes=3, probe_concurrency=1)

    verdict = refused(lowered, probing(20.0, 21.0, 22.0), 16.0)

    assert verdict == ("2 failures in a row", 6.0)


def test_caller_gets_a_place_when_fewer_probes_are_needed_than_succeeded() -> None:
    lowered = policy(probes=1)

    phase, admission = admitted(lowered, probing(successes=2, issued=2), 16.0)  # I3

    assert admission.place == 3
    assert isinstance(ended(lowered, phase, GOOD, place=3), Closed)


def test_one_success_closes_where_one_is_needed() -> None:
    after = ended(policy(), probing(17.0), GOOD, place=1, now=12.0)

    assert after == closed(epoch=4, since=12.0, trips=1)  # I5


def test_success_counts_towards_the_round_and_frees_its_place() -> None:
    after = ended(policy(probes=3), probing(17.0), GOOD, place=1)

    assert after == probing(issued=1, successes=1)


def test_round_closes_with_its_last_success() -> None:
    rules = policy(probes=3)
    phase = probing(17.0, successes=2)

    after = ended(rules, phase, GOOD, place=1, now=12.0)

    assert after == closed(epoch=4, since=12.0, trips=1)


def test_any_failure_reopens_at_once_and_counts_one_more_trip() -> None:
    rules = policy(probes=3, probe_concurrency=3)

    after = ended(rules, probing(15.0, 16.0, successes=1), BAD, place=2, now=12.0)

    assert isinstance(after, Open)
    assert after == Open(
        epoch=4,
        since=12.0,
        until=22.0,
        trips=2,
        reason="a probe failed (ConnectionError)",
        failure=BOOM,
    )


def test_wait_after_a_failed_probe_grows_with_backoff() -> None:
    rules = policy(recovery=Backoff(10, factor=3, jitter=0))

    after = ended(rules, probing(17.0, trips=2), BAD, place=1, now=12.0)

    assert isinstance(after, Open)
    assert (after.trips, after.until) == (3, 102.0)


def test_hint_of_a_failed_probe_lengthens_the_wait() -> None:
    busy = Outcome(Kind.FAILURE, cause=BOOM, retry_after=60.0)

    after = ended(policy(), probing(17.0), busy, place=1, now=12.0)

    assert isinstance(after, Open)
    assert after.until == 72.0


def test_failure_without_a_cause_reopens_too() -> None:
    after = ended(policy(), probing(17.0), Outcome(Kind.FAILURE), place=1)

    assert isinstance(after, Open)
    assert (after.reason, after.failure) == ("a probe failed", None)


@pytest.mark.parametrize("outcome", [SLOW_GOOD, SLOW_CANCELLED])
def test_slow_probe_is_a_failed_probe(outcome: Outcome) -> None:
    after = ended(policy(), probing(17.0), outcome, place=1)

    assert isinstance(after, Open)
    assert after.reason == "a probe was slow"


def test_slow_failure_is_told_as_a_failure() -> None:
    after = ended(policy(), probing(17.0), SLOW_BAD, place=1)

    assert isinstance(after, Open)
    assert after.reason == "a probe failed (ConnectionError)"


def test_neutral_probe_gives_its_place_back_and_says_nothing() -> None:  # I8
    after = ended(policy(), probing(17.0), NEUTRAL, place=1)

    assert after == probing(issued=1)


def test_neutral_lost_probe_is_only_no_longer_lost() -> None:  # I8
    phase = probing(places=(Place(2, 22.0),), issued=2, lost=1)

    after = ended(policy(), phase, NEUTRAL, place=1)

    assert after == probing(places=(Place(2, 22.0),), issued=2, lost=0)


def test_neutral_probes_alone_never_close_the_circuit() -> None:
    phase, now = probing(), 10.0

    for _ in range(50):
        phase, admission = admitted(policy(), phase, now)
        phase = ended(policy(), phase, NEUTRAL, place=admission.place, now=now)

    assert isinstance(phase, HalfOpen)
    assert (phase.successes, phase.places, phase.lost) == (0, (), 0)


@pytest.mark.parametrize("outcome", [GOOD, BAD, NEUTRAL, SLOW_GOOD, SLOW_CANCELLED])
@pytest.mark.parametrize("late", [Admission(1), Admission(2), Admission(0, 1)])
def test_outcome_of_an_earlier_epoch_changes_nothing(  # I4
    outcome: Outcome, late: Admission
) -> None:
    phase = probing(17.0)

    after = settle(policy(), phase, late, outcome, NOTHING, 12.0, 0.5)

    assert after is phase


@pytest.mark.parametrize(
    "never_given",
    [Admission(4, 1), Admission(3), Admission(3, 0), Admission(3, -1), Admission(3, 3)],
)
@pytest.mark.parametrize("lost", [0, 1])
def test_admission_that_was_never_given_is_refused(
    never_given: Admission, lost: int
) -> None:
    phase = probing(16.0, 17.0, lost=lost)

    with pytest.raises(ValueError) as caught:  # I9
        settle(policy(), phase, never_given, GOOD, NOTHING, 12.0, 0.5)

    assert str(caught.value) == f"{never_given} was not given by {phase}"


def test_place_cannot_be_given_back_twice() -> None:  # I9
    rules = policy(probes=2)
    phase = ended(rules, probing(17.0), GOOD, place=1)

    with pytest.raises(ValueError, match=r"Admission\(epoch=3, place=1\)"):
        ended(rules, phase, GOOD, place=1)


def test_evidence_plays_no_part_in_a_round() -> None:
    damning = NOTHING._replace(streak=100, slow_streak=100)

    after = ended(policy(), probing(17.0), GOOD, place=1, evidence=damning)

    assert isinstance(after, Closed)
