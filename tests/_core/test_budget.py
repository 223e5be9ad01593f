"""The score of a false-trip budget: the formula, its promises, and what it forgets."""

from __future__ import annotations

import pickle
import sys
from math import ceil, exp, inf, isfinite, log, sqrt
from types import FrameType
from typing import Any

import pytest
from hypothesis import assume, event, example, given
from hypothesis import strategies as st

from recloser._core.budget import (
    Budget,
    Learned,
    Score,
    after_failure,
    known,
    read,
)

MONTH = 30 * 86_400.0
SEEN = Learned(answered=True)
BUDGET = Budget(1 / MONTH, 0.5)
SETTLE = 0.25

rates = st.sampled_from([1 / MONTH, 0.5 / MONTH, 1 / 86_400, 1 / 3600])
budgets = st.builds(Budget, rates, st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.75, 0.8]))
settles = st.sampled_from([0.0, 0.25, 1.0])
gaps = st.one_of(
    st.sampled_from([0.0, 1e-9, 0.001, 0.1, 1.0, 60.0, 3600.0, 86_400.0]),
    st.floats(0, 1000),
)
successes = st.one_of(st.integers(0, 3), st.integers(0, 100_000))
histories = st.lists(st.tuples(gaps, successes), max_size=80)


def played(
    budget: Budget, settle: float, history: list[tuple[float, int]]
) -> tuple[Score, float]:
    """Return a state that calls can lead to: a trip begins a new period."""
    score, now = Score(SEEN, 0.0), 0.0
    for gap, well in history:
        now += gap
        score = after_failure(budget, settle, score, well, now)
        if score.full:
            score = Score(score.learned, now)
    return score, now


@given(budgets, st.floats(0.001, 1))
def test_unit_makes_a_failure_and_its_drain_a_fair_bet(
    budget: Budget, place: float
) -> None:
    usual = budget.floor + place * (budget.ceiling - budget.floor)

    unit = budget.unit(usual)

    mean = usual * exp(budget.gain * unit) + (1 - usual) * exp(-unit)
    assert unit > 0
    assert mean == pytest.approx(1, abs=1e-9)


@given(st.floats(0.001, 0.3))
def test_closed_form_of_the_unit_is_what_newton_finds(usual: float) -> None:
    almost = Budget(1.0, 0.5 + 1e-12)
    assert (BUDGET.gain, almost.gain == 2) == (2, False)

    assert BUDGET.unit(usual) == pytest.approx(almost.unit(usual), rel=1e-6)


# A10: 20 at 10 calls/s, whatever was learned before.


@given(budgets, settles, histories, st.sampled_from([0.001, 0.01, 0.1, 1, 10, 60]))
@example(Budget(1 / 86_400, 0.8), 0.25, [(628.0, 10), (0.0, 0), (1.0, 0)], 0.001)
def test_enough_straight_failures_open_it_from_every_reachable_state(
    budget: Budget, settle: float, history: list[tuple[float, int]], apart: float
) -> None:
    score, now = played(budget, settle, history)
    least = budget.gain * budget.unit(budget.ceiling) - log(2) * apart / 600
    assume(least > 0)
    enough = max(3, ceil(-budget.bottom(apart, 0) / least - 1e-9))
    needed, lasted, first = 0, 0.0, now + apart

    while not score.full:
        assert needed < enough or lasted < settle
        needed, now = needed + 1, now + apart
        lasted = now - first
        score = after_failure(budget, settle, score, 0, now)

    event(f"all that is promised: {needed >= enough}")


def test_most_that_is_ever_asked_for_at_ten_calls_a_second_is_twenty() -> None:
    worst = Score(Learned(60.0, 300.0, answered=True), 0.0)

    needed = read(BUDGET, worst, 0, 0.1).needed

    assert needed == 20


@pytest.mark.parametrize(
    ("usual", "row"),
    [
        (0.02, [4, 4, 5, 6, 6]),
        (0.05, [5, 6, 7, 8, 8]),
        (0.10, [7, 8, 10, 11, 12]),
        (0.20, [14, 17, 20, 22, 25]),
    ],
)
def test_straight_failures_that_open_it_follow_from_the_traffic(
    usual: float, row: list[int]
) -> None:
    gain = BUDGET.gain * BUDGET.unit(usual)

    needed = [
        ceil(-BUDGET.bottom(apart, 0) / gain) for apart in (10, 1, 0.1, 0.01, 1e-3)
    ]

    assert needed == row


# A18: an outage teaches nothing.


@given(budgets, settles, histories)
def test_a_run_that_opened_it_is_not_learned(
    budget: Budget, settle: float, history: list[tuple[float, int]]
) -> None:
    score, now = played(budget, settle, history)
    begun = known(budget, score, 10_000, now + 10_000)  # whatever was, is over
    score, now = Score(begun, now + 10_000), now + 10_000

    while not score.full:  # calls every 0.1 s, of which the first 50 succeed
        first = score.failures == 0
        now += 5.1 if first else 0.1
        score = after_failure(budget, settle, score, 50 if first else 0, now)

    assert score.learned == known(budget, score, 0, now)
    assert score.learned.failures <= begun.failures
    assert score.usual() <= begun.failures / begun.calls


def test_a_run_that_was_full_and_opened_nothing_is_not_learned_either() -> None:
    score, now = Score(Learned(1.0, 300.0, answered=True), 0.0), 0.0
    for _ in range(1000):  # metrics only, or the other side of an `&`
        now += 0.1
        score = after_failure(BUDGET, SETTLE, score, 0, now)

    after = after_failure(BUDGET, SETTLE, score, 500, now + 50)

    assert score.full
    assert not after.full
    assert after.usual() < 1 / 300
    assert (after.failures, after.calls) == (1, 1)


def test_a_run_that_ended_by_itself_is_learned() -> None:
    score = after_failure(BUDGET, SETTLE, Score(SEEN, 0.0), 10, 1.0)

    after = after_failure(BUDGET, SETTLE, score, 100, 11.0)

    assert after.learned.failures == 1.0
    assert after.learned.calls == pytest.approx(
        (40 * exp(-1 / 30) + 10) * exp(-101 / 300) + 101
    )


def test_usual_rate_rises_at_once_and_falls_by_half_in_an_hour() -> None:
    bad = Learned(60.0, 300.0, answered=True)
    _, at_once = bad.after_run(BUDGET, 0, 0, answered=True, now=0.0)

    later = at_once.faded(3600.0)

    assert at_once.peak == BUDGET.ceiling
    assert later == pytest.approx(BUDGET.ceiling / 2)


def test_usual_rate_never_exceeds_what_learning_may_allow() -> None:
    score, now = Score(SEEN, 0.0), 0.0
    for _ in range(2000):
        now += 0.4
        score = after_failure(BUDGET, SETTLE, score, 3, now)
        assert score.unit >= BUDGET.unit(BUDGET.ceiling) - 1e-12

    assert score.usual() == pytest.approx(0.25, abs=0.02)


# What keeps it quiet.


def test_trouble_shorter_than_settle_opens_nothing() -> None:
    score = Score(Learned(0.0, 1000.0, answered=True), 0.0)
    fulls = []

    for number in range(60):
        score = after_failure(BUDGET, SETTLE, score, 0, 10 + number * 0.005)
        fulls.append(score.full)

    assert fulls.index(True) == 50  # the first that is 0.25 s after the first


@given(st.integers(1, 100), st.floats(0.001, 60))
def test_after_settling_one_more_failure_is_enough(before: int, gap: float) -> None:
    assume(gap >= SETTLE)
    score = Score(Learned(0.0, 1000.0, answered=True), 0.0)
    for number in range(before + 10):
        score = after_failure(BUDGET, SETTLE, score, 0, 10 + number * 1e-4)
    assert not score.full

    score = after_failure(BUDGET, SETTLE, score, 0, score.last + gap)

    assert score.full


def test_fewer_than_three_failures_never_open_it() -> None:
    hourly = Budget(1 / 3600, 0.5)
    score = Score(Learned(0.0, 1e6, answered=True), 0.0)

    first = after_failure(hourly, 0.0, score, 0, 60.0)
    second = after_failure(hourly, 0.0, first, 0, 120.0)
    third = after_failure(hourly, 0.0, second, 0, 180.0)

    assert second.evidence > 0
    assert [first.full, second.full, third.full] == [False, False, True]


def test_evidence_fades_while_nothing_comes() -> None:
    score, now = Score(Learned(0.0, 1000.0, answered=True), 0.0), 0.0
    for _ in range(4):
        now += 1.0
        score = after_failure(BUDGET, SETTLE, score, 0, now)

    soon = read(BUDGET, score, 0, now + 1)
    late = read(BUDGET, score, 0, now + 24 * 3600)

    assert soon.score > 2
    assert late.score == 0


def test_failures_whose_times_are_swapped_are_as_good_as_simultaneous() -> None:
    score = after_failure(BUDGET, SETTLE, Score(SEEN, 0.0), 5, 10.0)

    swapped = after_failure(BUDGET, SETTLE, score, 0, 9.9)

    assert swapped.last == 10.0
    assert swapped == after_failure(BUDGET, SETTLE, score, 0, 10.0)


# A breaker that never saw a success.


@given(st.lists(gaps, min_size=5, max_size=5), settles)
def test_first_five_failures_open_a_breaker_that_never_saw_a_success(
    pauses: list[float], settle: float
) -> None:
    score, now = Score(Learned(), 0.0), 0.0

    for pause in pauses:
        assert not score.is_first()
        now += pause
        score = after_failure(BUDGET, settle, score, 0, now)

    assert score.full
    assert score.failures <= 5


@given(st.integers(0, 4), st.integers(1, 1000))
def test_one_success_is_enough_to_ask_for_proof(before: int, well: int) -> None:
    score, now = Score(Learned(), 0.0), 0.0
    for _ in range(before):
        now += 1e-6
        score = after_failure(BUDGET, SETTLE, score, 0, now)

    for number in range(10):
        now += 1e-6
        score = after_failure(BUDGET, SETTLE, score, 0 if number else well, now)

    assert not score.full
    assert not score.is_first()


# The update, written down once more, from the description alone.


class Bucket:
    """The rule as a list of steps. It keeps nothing else, and shares no code."""

    def __init__(self, per_second: float, unacceptable: float, settle: float) -> None:
        neutral = unacceptable * 2 / 3
        self.b, self.settle, self.r = per_second, settle, (1 - neutral) / neutral
        self.cap = 0.4 * unacceptable
        self.floor = min(0.02, self.cap / 4)
        self.K, self.N, self.peak, self.peak_at = 0.0, 40.0, 0.0, 0.0
        self.c = 1.0
        self.begin(0.0)

    def begin(self, t: float) -> None:
        self.E, self.kr, self.nr, self.last, self.t0 = -inf, 0, 0, t, t

    def failed(self, t: float, n: int) -> bool:
        dt = t - self.last
        fresh = log(self.b * min(max(dt / (n + 1), 1e-9), 60))
        carry = self.E - n * self.c - log(2) * dt / 600
        self.above = carry - fresh
        if carry <= fresh:
            w = exp(-(self.nr + n) / 300)
            self.K, self.N = self.K * w + self.kr, self.N * w + self.nr + n
            self.c = self.unit(self.baseline(t))
            self.kr, self.nr, self.t0, carry = 0, 0, t, fresh
        else:
            self.nr += n
        self.last, self.kr, self.nr = t, self.kr + 1, self.nr + 1
        self.E = carry + self.r * self.c
        if self.E >= 0 and t - self.t0 < self.settle:
            self.E = -self.r * self.c + log(2) / 10  # what fades in a minute
            return False
        return self.E >= 0 and self.kr >= 3

    def baseline(self, t: float) -> float:
        p = (self.K + 2 + 2 * sqrt(self.K + 1)) / self.N
        if self.N >= 150:
            p = max(p, self.peak * 2 ** -((t - self.peak_at) / 3600))
            self.peak, self.peak_at = min(p, self.cap), t
        return min(max(p, self.floor), self.cap)

    def unit(self, p: float) -> float:
        low, high = 1e-9, 100.0 / self.r
        for _ in range(200):  # the mean is below 1 before the root, and above after it
            c = (low + high) / 2
            if p * exp(self.r * c) + (1 - p) * exp(-c) < 1:
                low = c
            else:
                high = c
        return low


@given(
    st.sampled_from([1 / MONTH, 1 / 86_400, 1 / 3600]),
    st.sampled_from([0.1, 0.3, 0.5, 0.8]),
    settles,
    st.lists(st.tuples(st.floats(0, 1000), st.integers(0, 60)), max_size=120),
)
def test_it_opens_when_the_steps_of_its_description_do(
    per_second: float,
    unacceptable: float,
    settle: float,
    history: list[tuple[float, int]],
) -> None:
    budget = Budget(per_second, unacceptable)
    bucket = Bucket(per_second, unacceptable, settle)
    score, now = Score(SEEN, 0.0), 0.0

    for gap, well in history:
        now += gap
        score = after_failure(budget, settle, score, well, now)
        opens = bucket.failed(now, well)
        assume(min(abs(bucket.E), abs(bucket.above)) > 1e-6)  # or rounding decides

        assert score.full is opens
        assert (score.failures, score.calls) == (bucket.kr, bucket.nr)
        assert score.learned[:2] == pytest.approx((bucket.K, bucket.N))
        if opens:
            score = Score(score.learned, now)
            bucket.begin(now)


@given(
    st.floats(1 / (1000 * 365 * 86_400), 1 / 3600),
    st.floats(0.1, 0.8),
    st.floats(0, 5),
    st.lists(
        st.tuples(st.floats(0, 1e9), st.integers(0, 10**9)), min_size=1, max_size=40
    ),
    st.tuples(st.floats(0, 1e300), st.floats(1, 1e300), st.floats(0, 0.999)),
)
def test_no_setting_no_traffic_and_no_baseline_leads_out_of_the_numbers(
    per_second: float,
    unacceptable: float,
    settle: float,
    history: list[tuple[float, int]],
    baseline: tuple[float, float, float],
) -> None:
    budget, (failures, calls, peak) = Budget(per_second, unacceptable), baseline
    learned = Learned(min(failures, calls), calls, peak, 0.0, answered=True)
    score, now = Score(learned, 0.0), 0.0

    for gap, well in history:
        now += gap
        score = after_failure(budget, settle, score, well, now)
        reading = read(budget, score, well, now + gap)

        assert all(map(isfinite, [*score.learned[:4], score.evidence, score.unit]))
        assert 0 <= reading.usual <= 1
        assert 0 <= reading.score < inf
        assert 0 < reading.capacity < inf
        assert reading.needed is None or reading.needed >= 1


def test_reading_knows_that_rare_calls_fade_faster_than_they_add_up() -> None:
    score = Score(Learned(0.0, 1000.0, answered=True), 0.0)

    hourly, each_minute = read(BUDGET, score, 10, 39_600), read(BUDGET, score, 10, 660)

    assert (hourly.needed, each_minute.needed) == (None, 3)


def test_reading_of_a_moment_after_a_failure_supposes_the_traffic_before_it() -> None:
    score, now = Score(Learned(0.0, 1000.0, answered=True), 0.0), 0.0
    for _ in range(2):
        now += 10.0
        score = after_failure(BUDGET, SETTLE, score, 0, now)

    at_once, later = read(BUDGET, score, 0, now), read(BUDGET, score, 0, now + 10)

    assert at_once.capacity == pytest.approx(later.capacity)
    assert at_once.score == pytest.approx(4, abs=0.02)


# A20: the figures of the reason are the run, and a trip is never a minority of failures.


@given(budgets, settles, st.lists(st.tuples(gaps, st.integers(0, 4)), max_size=200))
def test_at_every_trip_more_failed_than_the_score_is_neutral_at(
    budget: Budget, settle: float, history: list[tuple[float, int]]
) -> None:
    score, now, trips = Score(SEEN, 0.0), 0.0, 0
    for gap, well in history:
        now += gap
        score = after_failure(budget, settle, score, well, now)
        if score.full:
            trips += 1
            assert score.failures / score.calls > budget.unacceptable * 2 / 3
            score = Score(score.learned, now)

    event(f"trips: {min(trips, 3)}")


# A21: constant size, constant work.


def instructions(score: Score, now: float) -> int:
    """Count the bytecodes of one failure, those of functions of ours that it calls too."""
    count = 0

    def trace(frame: FrameType, what: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += what == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        after_failure(BUDGET, SETTLE, score, 0, now)
    finally:
        sys.settrace(before)
    return count


def test_a_failure_costs_the_same_after_any_number_of_failures() -> None:
    score, now = Score(Learned(3.0, 300.0, answered=True), 0.0), 0.0
    work, sizes = set(), set()
    instructions(score, now)  # the first time 3.12 does not count all of them

    for number in range(100_000):
        now += 0.1
        if number in {10, 1000, 99_999}:
            work.add(instructions(score, now))
            sizes.add(len(score) + len(score.learned))
        score = after_failure(BUDGET, SETTLE, score, 0, now)

    assert len(work) == 1
    assert sizes == {15}
    assert len(pickle.dumps(score)) < 400


# The promise: not more often than the budget, at rates up to the usual one.


def test_mean_time_to_a_false_trip_is_at_least_the_budget_by_exact_recursion() -> None:
    """Follow the chain of scores with one call a second at exactly the usual rate.

    With `w` the same at each call, the score moves on a lattice of points, so the mean
    time to a trip is the solution of a linear system, found here by iteration.
    """
    rate, usual = 1 / 3600, 0.1
    budget = Budget(rate, 0.5)
    unit, bottom = budget.unit(usual), log(rate)
    capacity = ceil(-bottom / unit)
    alive = [0.0] * (capacity + 1)
    alive[0] = 1.0
    mean, left = 0.0, 1.0

    while left > 1e-9:
        mean += left
        after = [0.0] * (capacity + 1)
        for points, chance in enumerate(alive):
            up = points + 2
            if up * unit < -bottom:
                after[up] += chance * usual
            after[max(0, points - 1)] += chance * (1 - usual)
        alive, left = after, sum(after)

    assert mean >= 1 / rate
    assert mean < 20 / rate


@pytest.mark.parametrize("failures", [0, 1, 5, 40])
def test_limit_of_the_usual_rate_is_two_deviations_up(failures: int) -> None:
    learned = Learned(float(failures), 1000.0, answered=True)

    limit, _ = learned.after_run(BUDGET, 0, 0, answered=True, now=0.0)

    assert limit == pytest.approx(
        max(0.02, (failures + 2 + 2 * sqrt(failures + 1)) / 1000)
    )
