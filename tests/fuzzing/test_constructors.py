"""Anything at all, given to everything that checks or parses what it is given.

Each either makes something that works, or raises a `ValueError` or `TypeError` that says
what is wrong: never another error, and never something that breaks later.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from recloser import (
    Adaptive,
    Backoff,
    BreakerGroup,
    CircuitBreaker,
    CircuitOpenError,
    ConsecutiveFailures,
    CountWindow,
    FailureRate,
    FalseTripBudget,
    Policy,
    Ramp,
    Registry,
    RetryBudget,
    Shed,
    SlowCallRate,
    State,
    TimeWindow,
    Wait,
)
from recloser._core import ranges
from recloser.testing import FakeClock

NUMBERS = st.one_of(
    st.integers(),
    st.integers(-2, 300),
    st.floats(),
    st.floats(0, 2),
    st.booleans(),
    st.just(10**400),
    st.timedeltas(),
    st.fractions(),
    st.decimals(),
)
TEXT = st.one_of(st.text(), st.integers().map(str), st.floats().map(str))
PLAIN = st.one_of(st.none(), NUMBERS, TEXT, st.binary(), st.just(object()))
ANYTHING = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(TEXT, inner, max_size=3),
        st.sampled_from(list(State)),
    ),
    max_leaves=5,
)
"""Usual mistakes more often than their share: strings with numbers, percentages, nan."""


def made(make: Callable[[], Any]) -> Any:
    """Return what was made, or None if it was refused as it should be."""
    try:
        return make()
    except (ValueError, TypeError) as error:
        refusal = error
    assert str(refusal), "an error without a word"
    assert type(refusal) in {ValueError, TypeError}
    return None


def works(breaker: CircuitBreaker, clock: FakeClock) -> None:
    """Trip, reject, wait, probe, close: whatever the settings are."""
    breaker.trip()
    with pytest.raises(CircuitOpenError) as caught:
        breaker.call(bool)
    assert caught.value.retry_after is not None
    clock.advance(caught.value.retry_after)
    if isinstance(breaker.policy.recovery, Adaptive):
        breaker.permit_probes()  # or so many calls would have to be rejected first
    for _ in range(min(breaker.policy.probes, 20)):
        assert breaker.call(bool) is False
    breaker.snapshot()
    assert breaker.explain()
    assert "\n" not in repr(breaker)
    for _ in range(3):
        with suppress(OSError, CircuitOpenError):
            breaker.call(_down)
    breaker.reset()


def _down() -> None:
    raise OSError("down")


# -- single values -----------------------------------------------------------------------


WINDOWS = st.one_of(
    ANYTHING,
    st.integers(1, 50).map(CountWindow),
    st.floats(1e-3, 1e6).map(TimeWindow),
)


@given(st.sampled_from([CountWindow, TimeWindow]), ANYTHING)
def test_window_is_made_or_refused(kind, value):
    window = made(lambda: kind(value))

    assert window is None or window == kind(value)


@given(ANYTHING, ANYTHING, ANYTHING)
def test_streak_is_made_or_refused(count, slower_than, within):
    rule = made(
        lambda: ConsecutiveFailures(count, slower_than=slower_than, within=within)
    )

    if rule is not None:
        clock = FakeClock()
        works(CircuitBreaker("fuzz", trip=rule, clock=clock, registry="none"), clock)


@given(NUMBERS, WINDOWS, NUMBERS)
def test_rate_is_made_or_refused(rate, window, minimum):
    rule = made(lambda: FailureRate(rate, window=window, minimum_calls=minimum))

    if rule is not None:
        clock = FakeClock()
        works(CircuitBreaker("fuzz", trip=rule, clock=clock, registry="none"), clock)


@given(NUMBERS, NUMBERS, WINDOWS, NUMBERS)
def test_slow_rate_is_made_or_refused(rate, slower_than, window, minimum):
    rule = made(
        lambda: SlowCallRate(
            rate, slower_than=slower_than, window=window, minimum_calls=minimum
        )
    )

    if rule is not None:
        clock = FakeClock()
        works(CircuitBreaker("fuzz", trip=rule, clock=clock, registry="none"), clock)


@given(
    st.dictionaries(
        st.sampled_from(
            ["false_trips", "per", "unacceptable", "settle", "slower_than"]
        ),
        ANYTHING,
    )
)
def test_budget_of_false_trips_is_made_or_refused(options):
    rule = made(lambda: FalseTripBudget(**options))

    if rule is not None:
        clock = FakeClock()
        works(CircuitBreaker("fuzz", trip=rule, clock=clock, registry="none"), clock)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                *("fraction", "minimum", "maximum", "jitter"),
                *("rejections", "waiver", "longest_hint"),
            ]
        ),
        NUMBERS,
    )
)
def test_adaptive_wait_is_made_or_refused(options):
    recovery = made(lambda: Adaptive(**options))

    if recovery is not None:
        waits = [recovery.wait(1, 0.5, None, dead) for dead in (0.0, 1.0, 60.0, 1e9)]
        assert all(0 < wait < float("inf") for wait in waits)
        assert waits == sorted(waits)
        clock = FakeClock()
        breaker = CircuitBreaker(
            "fuzz", recovery=recovery, clock=clock, registry="none"
        )
        works(breaker, clock)
        breaker.trip()
        clock.advance(recovery.longest + recovery.waiver)
        assert breaker.call(bool) is False


@given(
    st.dictionaries(st.sampled_from(["k", "memory", "floor"]), NUMBERS),
    st.lists(st.booleans(), max_size=30),
)
def test_shedding_is_made_or_refused_and_never_rejects_all(options, endings):
    recovery = made(lambda: Shed(**options))

    if recovery is not None:
        clock = FakeClock()
        breaker = CircuitBreaker(
            "fuzz", trip=1, recovery=recovery, clock=clock, registry="none"
        )
        for well in (False, *endings):
            with suppress(OSError, CircuitOpenError):
                breaker.call(bool if well else _down)
            clock.advance(1)
            assert recovery.floor <= breaker.snapshot().admitting <= 1


@given(
    st.dictionaries(
        st.sampled_from(
            [
                *("steps", "round", "evidence", "patience", "failures"),
                *("failure_rate", "minimum_calls", "floor", "fade"),
            ]
        ),
        st.one_of(NUMBERS, st.lists(st.floats(0, 1), max_size=4), ANYTHING),
        max_size=3,
    )
)
def test_ramp_is_made_or_refused(options):
    ramp = made(lambda: Ramp(**options))

    if ramp is not None:
        clock = FakeClock()
        breaker = CircuitBreaker(
            *("fuzz",), ramp=ramp, clock=clock, chance=lambda: 0.0, registry="none"
        )
        works(breaker, clock)
        breaker.trip()
        clock.advance(breaker.policy.recovery.longest)
        for _ in range(2 + len(ramp.steps)):  # the probe, each step, and the last round
            assert breaker.call(bool) is False
            clock.advance(ramp.patience)
        breaker.call(bool)
        assert breaker.state is State.CLOSED


@given(ANYTHING, NUMBERS, NUMBERS)
def test_retry_budget_is_made_or_refused(breaker, share, reserve):
    assert made(lambda: RetryBudget(breaker)) is None
    budget = made(
        lambda: RetryBudget(
            CircuitBreaker("fuzz", registry="none"), share=share, reserve=reserve
        )
    )

    assert budget is None or budget.take()


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_backoff_is_made_or_refused(initial, factor, maximum, jitter):
    recovery = made(
        lambda: Backoff(initial, factor=factor, maximum=maximum, jitter=jitter)
    )

    if recovery is not None:
        waits = [recovery.wait(trips, 0.5, None) for trips in (1, 2, 50, 5_000)]
        assert all(0 < wait < float("inf") for wait in waits)
        assert waits == sorted(waits)
        clock = FakeClock()
        works(
            CircuitBreaker("fuzz", recovery=recovery, clock=clock, registry="none"),
            clock,
        )


@given(NUMBERS, NUMBERS, ANYTHING)
def test_wait_is_made_or_refused(seconds, jitter, longest_hint):
    recovery = made(lambda: Wait(seconds, jitter=jitter, longest_hint=longest_hint))

    if recovery is not None:
        for chance in (0.0, 0.5, 0.999):
            assert 0 < recovery.wait(1, chance, None) < float("inf")


@given(ANYTHING)
@example(float("nan"))
@example(timedelta(0))
@example(-0.0)
@example(10**400)
def test_duration_is_seconds_or_refused(value):
    seconds = made(lambda: ranges.seconds("wait", value))

    assert seconds is None or 0 < seconds <= 1e12


# -- breakers ----------------------------------------------------------------------------


OPTIONS = [
    "trip",
    "recovery",
    "probes",
    "probe_concurrency",
    "probe_lease",
    "policy",
    "ignore",
    "successes",
    "failures",
    "failure_result",
    "retry_after",
    "listeners",
    "clock",
    "registry",
    "initial_state",
    "share",
    "ramp",
    "baseline",
]


@given(st.dictionaries(st.sampled_from(OPTIONS), ANYTHING, max_size=3))
def test_breaker_is_made_or_refused(options):
    clock = FakeClock()
    usual = {"clock": clock, "registry": Registry()}

    breaker = made(lambda: CircuitBreaker("fuzz", **{**usual, **options}))

    if breaker is not None and not {"clock", "failure_result", "share"} & set(options):
        breaker.reset()
        works(breaker, clock)


@given(st.text())
@example("")
@example("\x00")
@example("a\nb")
@example("\ud800")
@example("x" * 100_000)
def test_breaker_of_any_name_works_and_is_found(name):
    registry, clock = Registry(), FakeClock()

    breaker = made(lambda: CircuitBreaker(name, registry=registry, clock=clock))

    if breaker is None:
        assert not name.strip()
        return
    assert registry.get(name) is breaker
    works(breaker, clock)


@given(ANYTHING)
def test_name_that_is_no_text_is_refused(name):
    assume(not isinstance(name, str))

    assert made(lambda: CircuitBreaker(name, registry="none")) is None


@given(
    st.lists(st.one_of(st.text(), st.integers(), st.binary(), st.none()), max_size=9)
)
def test_group_takes_any_hashable_keys(keys):
    group = BreakerGroup("api", max_size=3, clock=FakeClock())

    for key in keys:
        assert group[key].call(bool) is False
        assert str(group[key]).isprintable() or repr(group[key])

    assert len(group) <= 3


# -- settings from outside ---------------------------------------------------------------


NUMBER_TEXT = st.one_of(NUMBERS, TEXT)
WINDOW_TABLE = st.one_of(
    st.fixed_dictionaries({}, optional={"calls": NUMBER_TEXT, "seconds": NUMBER_TEXT}),
    ANYTHING,
)
RULE_TABLE = st.fixed_dictionaries(
    {},
    optional={
        "consecutive_failures": NUMBER_TEXT,
        "failure_rate": NUMBER_TEXT,
        "slow_call_rate": NUMBER_TEXT,
        "false_trips": NUMBER_TEXT,
        "per": NUMBER_TEXT,
        "unacceptable": NUMBER_TEXT,
        "window": WINDOW_TABLE,
        "slower_than": NUMBER_TEXT,
        "within": NUMBER_TEXT,
        "minimum_calls": NUMBER_TEXT,
    },
)
TRIP = st.recursive(
    st.one_of(RULE_TABLE, ANYTHING),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.builds(lambda rules: {"any": rules}, st.lists(inner, max_size=3)),
        st.builds(lambda rules: {"all": rules}, st.lists(inner, max_size=3)),
    ),
    max_leaves=4,
)
RECOVERY = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "wait": NUMBER_TEXT,
            "backoff": NUMBER_TEXT,
            "factor": NUMBER_TEXT,
            "maximum": NUMBER_TEXT,
            "jitter": NUMBER_TEXT,
            "fade": NUMBER_TEXT,
            "longest_hint": NUMBER_TEXT,
        },
    ),
    st.fixed_dictionaries(
        {"adaptive": NUMBER_TEXT},
        optional={
            "minimum": NUMBER_TEXT,
            "maximum": NUMBER_TEXT,
            "rejections": NUMBER_TEXT,
        },
    ),
    ANYTHING,
)
RAMP = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "steps": st.one_of(st.lists(NUMBER_TEXT, max_size=3), ANYTHING),
            "round": NUMBER_TEXT,
            "patience": NUMBER_TEXT,
            "failures": NUMBER_TEXT,
            "floor": NUMBER_TEXT,
        },
    ),
    ANYTHING,
)
SETTINGS = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "trip": TRIP,
            "recovery": RECOVERY,
            "probes": NUMBER_TEXT,
            "probe_concurrency": NUMBER_TEXT,
            "probe_lease": NUMBER_TEXT,
            "ramp": RAMP,
        },
    ),
    ANYTHING,
)


@given(SETTINGS)
def test_settings_make_a_policy_or_say_where_they_are_wrong(settings):
    policy = made(lambda: Policy.from_mapping(settings))

    if policy is not None:
        clock = FakeClock()
        works(
            CircuitBreaker("fuzz", policy=policy, clock=clock, registry="none"), clock
        )


GOOD_WINDOW = st.one_of(
    st.builds(lambda n: {"calls": n}, st.integers(1, 500)),
    st.builds(lambda s: {"seconds": s}, st.floats(0.01, 1e5)),
)
GOOD_RULE = st.one_of(
    st.builds(lambda n: {"consecutive_failures": n}, st.integers(1, 50)),
    st.builds(
        lambda rate, window: {"failure_rate": rate, "window": window},
        st.floats(0.01, 1),
        GOOD_WINDOW,
    ),
)
GOOD = st.fixed_dictionaries(
    {
        "trip": st.one_of(
            st.integers(1, 50), GOOD_RULE, st.lists(GOOD_RULE, min_size=1, max_size=3)
        ),
        "recovery": st.one_of(
            st.floats(0.01, 1e5),
            st.builds(
                lambda first, factor: {"backoff": first, "factor": factor},
                st.floats(0.01, 100),
                st.floats(1, 10),
            ),
        ),
        "probes": st.integers(1, 20),
    }
)


@given(GOOD)
def test_settings_mean_the_same_as_json_and_as_text(settings):
    """A settings file gives numbers, the environment gives text: one meaning."""

    def as_text(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: as_text(each) for key, each in value.items()}
        if isinstance(value, list):
            return [as_text(each) for each in value]
        return repr(value)

    policy = made(lambda: Policy.from_mapping(settings))
    assume(policy is not None)

    assert Policy.from_mapping(json.loads(json.dumps(settings))) == policy
    assert Policy.from_mapping(as_text(settings)) == policy
    assert str(policy) == str(Policy.from_mapping(settings))
