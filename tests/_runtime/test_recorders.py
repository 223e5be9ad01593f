"""What is known of a period: counted in one step, read as if every call were listed."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recloser import (
    CircuitBreaker,
    ConsecutiveFailures,
    CountWindow,
    FailureRate,
    SlowCallRate,
    State,
    TimeWindow,
)
from recloser.testing import FakeClock

SLOW = 2.0
SMALL, LARGE, SECONDS = CountWindow(3), CountWindow(50), TimeWindow(10)
NEVER = ConsecutiveFailures(10**9, slower_than=SLOW)  # so none of the rules below trips

EVERYTHING = (
    NEVER
    & FailureRate(1, window=SMALL)
    & SlowCallRate(1, slower_than=SLOW, window=LARGE)
    & FailureRate(1, window=SECONDS)
)

ENDINGS = {
    "success": None,
    "failure": OSError,
    "ignored": KeyError,
    "cancelled": KeyboardInterrupt,
}


class Ledger:
    """The same calls, listed one by one and counted by looking at each."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, bool]] = []
        self.timed: list[tuple[float, bool]] = []
        self.streak = 0

    def write(self, now: float, ending: str, *, slow: bool) -> None:
        settled = ending in {"success", "failure"}
        if settled:
            self.calls.append((now, ending == "failure"))
            self.timed.append((now, slow))
            self.streak = self.streak + 1 if ending == "failure" else 0

    def last(self, size: int) -> tuple[int, int, int, int]:
        return self._add_up(self.calls[-size:], self.timed[-size:])

    def within(self, now: float) -> tuple[int, int, int, int]:
        """Count what ended in the bucket of now and the nine before it."""
        first = int(now) - 9  # ten buckets of a second each

        def inside(entries):
            return [entry for entry in entries if int(entry[0]) >= first]

        return self._add_up(inside(self.calls), inside(self.timed))

    @staticmethod
    def _add_up(calls, timed) -> tuple[int, int, int, int]:
        failures, slow = (sum(entry[1] for entry in kind) for kind in (calls, timed))
        return len(calls), failures, slow, len(timed)


steps = st.lists(
    st.tuples(
        st.sampled_from(sorted(ENDINGS)),
        st.sampled_from(["call", "wrapper", "block", "permit"]),
        st.booleans(),  # is the call slow?
        st.sampled_from([0.0, 0.25, 1.0, 7.0, 30.0]),  # seconds before it
    ),
    max_size=60,
)


def run(breaker, clock, way: str, ending: str, seconds: float) -> None:
    """Let one call of a breaker take its time and end."""
    error = ENDINGS[ending]

    def work():
        clock.advance(seconds)
        if error is not None:
            raise error

    def block():
        with breaker:
            work()

    def permit():
        with breaker.acquire():
            work()

    ways = {
        "call": lambda: breaker.call(work),
        "wrapper": breaker(work),
        "block": block,
        "permit": permit,
    }
    with suppress(OSError, KeyError, KeyboardInterrupt):
        ways[way]()


@given(steps)
def test_windows_and_streak_are_those_of_a_list_of_all_calls(steps):
    clock, ledger = FakeClock(), Ledger()
    breaker = CircuitBreaker(
        "b", trip=EVERYTHING, ignore=(KeyError,), clock=clock, registry="none"
    )

    for ending, way, slow, pause in steps:
        clock.advance(pause)
        run(breaker, clock, way, ending, SLOW if slow else 0.0)
        ledger.write(clock(), ending, slow=slow)

        now = breaker.snapshot()
        assert tuple(now.counts[SMALL]) == ledger.last(SMALL.size)
        assert tuple(now.counts[LARGE]) == ledger.last(LARGE.size)
        assert tuple(now.counts[SECONDS]) == ledger.within(clock())
        assert now.streak == ledger.streak
        assert now.totals.failures == sum(failed for _, failed in ledger.calls)
        assert now.totals.successes == len(ledger.calls) - now.totals.failures


@pytest.fixture
def windowed(make):
    """Make a breaker that counts in a window, and never trips by it."""

    def make_breaker(window, **options):
        rule = FailureRate(1, window=window, minimum_calls=1)
        return make(trip=ConsecutiveFailures(10**9) & rule, **options)

    return make_breaker


def test_count_window_knows_no_age(windowed, clock, fail):
    window = CountWindow(10)
    payments = windowed(window)
    fail(payments, 3)

    clock.advance(1_000_000)

    assert payments.snapshot().counts[window].failures == 3


def test_time_window_lets_calls_go_bucket_by_bucket(windowed, clock, fail):
    window = TimeWindow(10)
    payments = windowed(window)
    for _ in range(10):
        fail(payments)
        clock.advance(1)

    left = []
    for _ in range(11):
        left.append(payments.snapshot().counts[window].failures)
        clock.advance(1)

    assert left == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0]


def test_success_is_counted_in_the_bucket_in_which_it_ends(windowed, clock, service):
    window = TimeWindow(10)
    payments = windowed(window)
    guarded = payments(clock.advance)
    guarded(0)

    guarded(8)
    clock.advance(5)

    assert payments.snapshot().counts[window].calls == 1


@pytest.mark.parametrize(("before", "after"), [(3, 5), (5, 3), (None, 4), (4, None)])
def test_streak_survives_a_change_of_its_rule(make, fail, before, after):
    def rule(length):
        return ConsecutiveFailures(length or 9, within=60 if length else None)

    payments = make(trip=rule(before))
    fail(payments, 2)

    payments.reconfigure(trip=rule(after))

    assert payments.snapshot().streak == 2


def test_streak_that_is_given_an_age_counts_what_it_knows_the_time_of(
    make, fail, clock
):
    payments = make(trip=ConsecutiveFailures(3, within=60))
    fail(payments, 2)
    clock.advance(30)

    payments.reconfigure(trip=ConsecutiveFailures(4, within=60))
    fail(payments)
    assert payments.state is State.CLOSED
    fail(payments)

    assert payments.state is State.OPEN


def test_time_window_taken_away_leaves_nothing_to_turn(make, clock, service):
    payments = make(trip=FailureRate(1, window=TimeWindow(10)))
    guarded = payments(service.answer)

    payments.reconfigure(trip=5)
    clock.advance(100)
    guarded()

    assert payments.snapshot().totals.successes == 1
