"""A breaker with a ramp, as its users hold it."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import pytest

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
    ShareChanged,
    Shed,
    SlowCallRate,
    State,
    TimeWindow,
    Transition,
    Wait,
)
from recloser._runtime.keys import place_of
from recloser.testing import FakeClock, force


class Dice:
    """Chance that a test sets."""

    def __init__(self) -> None:
        self.next = 0.0

    def __call__(self) -> float:
        return self.next


@pytest.fixture
def dice() -> Dice:
    return Dice()


@pytest.fixture
def make(fake_clock: FakeClock, dice: Dice) -> Callable[..., CircuitBreaker]:
    def make(**options: Any) -> CircuitBreaker:
        usual = {
            "trip": 1,
            "recovery": Wait(10, jitter=0),
            "ramp": Ramp(),
            "clock": fake_clock,
            "chance": dice,
            "registry": "none",
        }
        return CircuitBreaker("payments", **{**usual, **options})

    return make


def down() -> None:
    raise ConnectionError("down")


def fail(breaker: CircuitBreaker) -> None:
    with pytest.raises(ConnectionError):
        breaker.call(down)


def ramp_up(breaker: CircuitBreaker, clock: FakeClock) -> None:
    """Trip, wait and probe: the ramp begins."""
    fail(breaker)
    clock.advance(10)
    breaker.call(str)


def test_ramp_lets_a_share_through_and_ends_closed(
    make: Callable[..., CircuitBreaker], fake_clock: FakeClock
) -> None:
    breaker = make()
    ramp_up(breaker, fake_clock)
    seen = [(breaker.state, breaker.snapshot().admitting)]

    for _ in range(3):
        breaker.call(str)
        fake_clock.advance(1)
        breaker.call(str)
        seen.append((breaker.state, breaker.snapshot().admitting))

    assert seen == [
        (State.HALF_OPEN, 0.25),
        (State.HALF_OPEN, 0.5),
        (State.HALF_OPEN, 1.0),
        (State.CLOSED, 1.0),
    ]


def test_call_that_is_not_of_the_share_is_rejected_and_told_why(
    make: Callable[..., CircuitBreaker], fake_clock: FakeClock, dice: Dice
) -> None:
    breaker = make()
    ramp_up(breaker, fake_clock)
    dice.next = 0.25

    with pytest.raises(CircuitOpenError) as caught:
        breaker.call(str)

    assert caught.value.state == State.HALF_OPEN
    assert caught.value.retry_after == 1.0
    assert caught.value.reason.startswith("only 25 % of the calls go through")
    assert "25 % of the calls go through" in breaker.explain()


def test_listeners_are_told_of_each_step(
    make: Callable[..., CircuitBreaker], fake_clock: FakeClock
) -> None:
    heard: list[Any] = []
    breaker = make(listeners=[heard.append])
    ramp_up(breaker, fake_clock)
    for _ in range(3):
        breaker.call(str)
        fake_clock.advance(1)
        breaker.call(str)

    steps = [
        (one.before, one.share, one.reason)
        for one in heard
        if isinstance(one, ShareChanged)
    ]
    moves = [one.after for one in heard if isinstance(one, Transition)]

    assert steps == [
        (0.0, 0.25, "the dependency answers again"),
        (0.25, 0.5, "1 of 1 answers were good"),
        (0.5, 1.0, "2 of 2 answers were good"),
    ]
    assert moves == [State.OPEN, State.HALF_OPEN, State.CLOSED]
    assert breaker.snapshot().transitions == {
        (State.CLOSED, State.OPEN): 1,
        (State.OPEN, State.HALF_OPEN): 1,
        (State.HALF_OPEN, State.CLOSED): 1,
    }


def test_three_failures_in_a_row_abort_the_ramp(
    make: Callable[..., CircuitBreaker], fake_clock: FakeClock
) -> None:
    breaker = make()
    ramp_up(breaker, fake_clock)

    for _ in range(3):
        fail(breaker)

    assert breaker.state == State.OPEN
    assert breaker.snapshot().reason == "3 bad answers in a row with 0.25 of the calls"


def test_permit_of_an_aborted_ramp_is_late(
    make: Callable[..., CircuitBreaker], fake_clock: FakeClock
) -> None:
    breaker = make()
    ramp_up(breaker, fake_clock)
    permits = [breaker.acquire() for _ in range(5)]

    for permit in permits:
        permit.failure()

    assert breaker.state == State.OPEN
    assert (breaker.snapshot().late, breaker.snapshot().totals.trips) == (2, 2)
    assert not any(permit.is_probe for permit in permits)


def test_nothing_moves_without_a_call(
    make: Callable[..., CircuitBreaker], fake_clock: FakeClock
) -> None:
    opened, ramping = make(recovery=Adaptive()), make()
    fail(opened)
    ramp_up(ramping, fake_clock)

    fake_clock.advance(3600)

    assert (opened.state, opened.snapshot().admitting) == (State.OPEN, 0.0)
    assert (ramping.state, ramping.snapshot().admitting) == (State.HALF_OPEN, 0.25)


def closed_with_calls_out(
    breaker: CircuitBreaker, clock: FakeClock, out: int
) -> list[Any]:
    """Close after a whole ramp, with calls of its last round not answered yet."""
    ramp_up(breaker, clock)
    for _ in range(2):
        breaker.call(str)
        clock.advance(1)
    breaker.call(str)
    permits = [breaker.acquire() for _ in range(out)]
    clock.advance(1)
    breaker.call(str)
    assert breaker.state == State.CLOSED
    return permits


def test_overload_by_the_last_round_is_seen_after_the_circuit_has_closed(
    make: Callable[..., CircuitBreaker], fake_clock: FakeClock
) -> None:
    breaker = make()
    permits = closed_with_calls_out(breaker, fake_clock, 2)
    breaker.reconfigure(trip=2)

    for permit in permits:
        permit.failure()

    assert breaker.state == State.OPEN
    assert breaker.snapshot().late == 0


def test_answers_of_the_closed_period_speak_for_it_too(
    make: Callable[..., CircuitBreaker], fake_clock: FakeClock
) -> None:
    breaker = make()
    first, second, third = closed_with_calls_out(breaker, fake_clock, 3)
    breaker.reconfigure(trip=2)

    first.failure()
    breaker.call(str)
    second.failure()
    third.success()

    seen = breaker.snapshot()
    assert (seen.state, seen.late) == (State.CLOSED, 0)


def test_call_of_a_ramp_is_late_after_the_next_opening(
    make: Callable[..., CircuitBreaker], fake_clock: FakeClock
) -> None:
    breaker = make()
    (permit,) = closed_with_calls_out(breaker, fake_clock, 1)
    fail(breaker)

    permit.failure()

    assert (breaker.snapshot().late, breaker.snapshot().totals.trips) == (1, 2)


@pytest.mark.parametrize("recovery", [Wait(10), Backoff(10), Adaptive(minimum=10)])
@pytest.mark.parametrize(
    "trip",
    [
        ConsecutiveFailures(5, within=60),
        FailureRate(0.5, window=CountWindow(20), minimum_calls=20),
        SlowCallRate(0.5, slower_than=1.0, window=TimeWindow(60), minimum_calls=20),
        ConsecutiveFailures(5) | FailureRate(0.5),
        FalseTripBudget(),
    ],
)
def test_ramp_goes_with_every_trip_and_every_wait(
    make: Callable[..., CircuitBreaker], fake_clock: FakeClock, trip: Any, recovery: Any
) -> None:
    breaker = make(trip=trip, recovery=recovery, probes=2, probe_lease=5.0)
    breaker.trip()
    fake_clock.advance(40)
    lost = breaker.acquire()
    fake_clock.advance(5)
    shares = []

    for _ in range(2):
        breaker.call(str)
    for _ in range(4):
        breaker.call(str)
        shares.append(breaker.snapshot().admitting)
        fake_clock.advance(1)
    lost.failure()

    assert shares == [0.25, 0.5, 1.0, 1.0]
    assert (breaker.state, breaker.snapshot().late) == (State.CLOSED, 1)


def test_call_inside_a_call_of_the_share_is_part_of_it(
    make: Callable[..., CircuitBreaker], fake_clock: FakeClock, dice: Dice
) -> None:
    breaker = make()
    ramp_up(breaker, fake_clock)

    def outer() -> str:
        dice.next = 0.9
        return breaker.call(lambda: "inner")

    assert breaker.call(outer) == "inner"
    assert breaker.try_acquire() is None


def test_generator_is_part_of_the_share_from_its_first_item(
    make: Callable[..., CircuitBreaker], fake_clock: FakeClock, dice: Dice
) -> None:
    breaker = make()

    @breaker
    def items() -> Iterator[str]:
        yield breaker.call(lambda: "inner")

    ramp_up(breaker, fake_clock)
    stream = items()
    first = next(stream)
    dice.next = 0.9

    assert (first, list(stream)) == ("inner", [])
    with pytest.raises(CircuitOpenError):
        next(items())


def test_same_keys_come_back_first_in_every_process(
    make: Callable[..., CircuitBreaker], fake_clock: FakeClock
) -> None:
    first, second = make(), make()
    fail(second)
    ramp_up(first, fake_clock)
    second.call(str)
    tenants = [f"tenant-{number}" for number in range(400)]

    seen = [
        [key for key in tenants if breaker.try_acquire(key=key)]
        for breaker in (first, second)
    ]

    assert seen[0] == seen[1]
    assert 60 <= len(seen[0]) <= 140
    assert seen[0] == [key for key in tenants if place_of("payments", key) < 0.25]


def test_places_of_neighbouring_keys_are_even_and_always_the_same() -> None:
    places = [place_of("api", number) for number in range(10_000)]

    for tenth in range(10):
        inside = sum(tenth / 10 <= place < (tenth + 1) / 10 for place in places)
        assert 900 <= inside <= 1100
    assert place_of("api", "acme") == place_of("api", b"acme")
    assert place_of("api", "acme") != place_of("search", "acme")


def test_guard_finds_the_key_in_the_arguments(
    make: Callable[..., CircuitBreaker], fake_clock: FakeClock
) -> None:
    breaker = make()

    @breaker(key=lambda tenant: tenant, fallback=lambda tenant: "later")
    def page(tenant: str) -> str:
        return "now"

    @breaker(key=lambda tenant: tenant, fallback=lambda tenant: "later")
    async def page_async(tenant: str) -> str:
        return "now"

    ramp_up(breaker, fake_clock)
    tenants = [f"tenant-{number}" for number in range(50)]
    expected = [
        "now" if place_of("payments", one) < 0.25 else "later" for one in tenants
    ]

    assert [page(tenant) for tenant in tenants] == expected
    assert [asyncio.run(page_async(tenant)) for tenant in tenants] == expected


def test_key_of_another_kind_is_refused_at_once(
    make: Callable[..., CircuitBreaker],
) -> None:
    breaker = make()

    with pytest.raises(TypeError, match="key must be a string, bytes or a whole"):
        breaker.acquire(key=object())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="key must be a function"):
        breaker(key="tenant")  # type: ignore[call-overload]


@pytest.mark.recloser_allow_callback_errors
@pytest.mark.parametrize("chance", [lambda: 1 / 0, lambda: "x", lambda: 7.0])
def test_broken_chance_harms_no_call(chance: Any, fake_clock: FakeClock) -> None:
    answers = iter([0.5])
    breaker = CircuitBreaker(
        "payments",
        trip=1,
        recovery=Wait(10, jitter=0),
        ramp=Ramp((0.75, 1)),
        clock=fake_clock,
        chance=lambda: next(answers, None) or chance(),
        registry="none",
    )

    ramp_up(breaker, fake_clock)

    assert (
        breaker.call(lambda: "of the share, by one half") == "of the share, by one half"
    )


@pytest.mark.parametrize("chance", [3, lambda: 1.5, lambda: "x"])
def test_chance_is_checked_when_the_breaker_is_made(chance: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="chance"):
        CircuitBreaker("payments", chance=chance, registry="none")


def test_shares_are_drawn_with_the_generator_given(fake_clock: FakeClock) -> None:
    def drawn() -> list[bool]:
        breaker = CircuitBreaker(
            "payments",
            trip=1,
            recovery=Wait(10),
            ramp=Ramp(),
            clock=fake_clock,
            chance=Random(7).random,
            registry="none",
        )
        fail(breaker)
        fake_clock.advance(11)
        breaker.call(str)
        return [breaker.try_acquire() is not None for _ in range(200)]

    first, second = drawn(), drawn()

    assert first == second
    assert 30 <= sum(first) <= 70


def test_waiters_draw_again_at_each_round(
    make: Callable[..., CircuitBreaker], fake_clock: FakeClock, dice: Dice
) -> None:
    breaker = make()
    ramp_up(breaker, fake_clock)
    breaker.call(str)
    dice.next = 0.4

    with ThreadPoolExecutor(1) as pool:
        waiter = pool.submit(lambda: breaker.acquire(timeout=5))
        while not fake_clock.sleepers:
            threading.Event().wait(0.001)
        fake_clock.advance(1)
        permit = waiter.result(10)

    permit.success()
    assert breaker.snapshot().admitting == 0.5


def test_reset_trip_and_other_commands_leave_a_ramp(
    make: Callable[..., CircuitBreaker], fake_clock: FakeClock
) -> None:
    states = []
    for command in ("reset", "trip", "force_open", "disable", "observe"):
        breaker = make()
        ramp_up(breaker, fake_clock)
        getattr(breaker, command)()
        states.append(breaker.state)

    assert states == ["closed", "open", "forced_open", "disabled", "metrics_only"]


def test_reconfigure_takes_the_ramp_away_or_brings_one(
    make: Callable[..., CircuitBreaker], fake_clock: FakeClock, dice: Dice
) -> None:
    breaker = make()
    ramp_up(breaker, fake_clock)
    dice.next = 0.99

    breaker.reconfigure(ramp=False)
    breaker.call(str)
    closed = breaker.state
    breaker.reconfigure(ramp=True)
    ramp_up(breaker, fake_clock)

    assert (closed, breaker.state) == (State.CLOSED, State.HALF_OPEN)


def test_half_open_by_force_probes_before_it_ramps(
    make: Callable[..., CircuitBreaker],
) -> None:
    breaker = make()

    force(breaker, State.HALF_OPEN)
    before = breaker.snapshot().admitting
    breaker.call(str)

    assert (before, breaker.snapshot().admitting) == (0.0, 0.25)


def test_metrics_only_knows_no_share(make: Callable[..., CircuitBreaker]) -> None:
    breaker = make(initial_state=State.METRICS_ONLY, trip=1)

    fail(breaker)

    assert (breaker.snapshot().admitting, breaker.snapshot().totals.would_trip) == (
        1.0,
        1,
    )


def test_copy_is_the_same_breaker_and_policies_pickle(
    make: Callable[..., CircuitBreaker], fake_clock: FakeClock
) -> None:
    breaker = make(recovery=Adaptive())

    assert copy.deepcopy(breaker) is breaker
    assert pickle.loads(pickle.dumps(breaker.policy)) == breaker.policy  # noqa: S301


def test_group_ramps_each_key_alone(fake_clock: FakeClock, dice: Dice) -> None:
    group = BreakerGroup(
        "api",
        trip=1,
        recovery=Wait(10, jitter=0),
        ramp=True,
        clock=fake_clock,
        chance=dice,
    )

    ramp_up(group["a"], fake_clock)

    assert group["a"].snapshot().admitting == 0.25
    assert group["b"].snapshot().admitting == 1.0


def test_policy_with_everything_comes_from_a_mapping() -> None:
    policy = Policy.from_mapping(
        {
            "recovery": {"adaptive": "0.1", "maximum": "10", "rejections": "0"},
            "ramp": {"steps": ["0.1", 1], "round": "2"},
        }
    )

    assert policy.recovery == Adaptive(0.1, maximum=10, rejections=0)
    assert policy.ramp == Ramp((0.1, 1), round=2)
    assert Policy.from_mapping({"ramp": "true"}).ramp == Ramp()
    assert Policy.from_mapping({"ramp": "false"}).ramp is None
    assert Policy.from_mapping({"recovery": {"shed": "3"}}).recovery == Shed(3)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"ramp": {"steps": [0.5]}}, "ramp: steps must grow and end with 1"),
        ({"ramp": {"step": 1}}, "ramp.step: unknown"),
        ({"recovery": {"adaptive": 0}}, "recovery.adaptive: fraction must be in"),
    ],
)
def test_bad_mapping_shows_the_path(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError) as caught:
        Policy.from_mapping(settings)

    assert text in str(caught.value)


# -- adaptive waits and health -----------------------------------------------------------


def test_rejections_are_counted_from_the_opening(
    make: Callable[..., CircuitBreaker], fake_clock: FakeClock
) -> None:
    breaker = make(recovery=Adaptive(jitter=0), ramp=False)
    for _ in range(2):
        fail(breaker)
        fake_clock.advance(2)
        refused = [breaker.try_acquire() is None for _ in range(11)]
        assert refused == [True] * 10 + [False]
        breaker.reset()


def test_explanation_says_how_many_rejections_are_missing(
    make: Callable[..., CircuitBreaker], fake_clock: FakeClock
) -> None:
    breaker = make(recovery=Adaptive(jitter=0))
    fail(breaker)
    fake_clock.advance(2)
    for _ in range(9):
        breaker.try_acquire()

    text = breaker.explain()

    assert "a probe follows when 1 more call was rejected, or in 28 s" in text


def test_healthy_dependency_is_probed_before_the_wait_is_over(
    make: Callable[..., CircuitBreaker],
) -> None:
    breaker = make(recovery=Adaptive())
    asked: list[str] = []

    unasked = breaker.check_health(lambda: asked.append("closed"))
    fail(breaker)
    well = breaker.check_health(lambda: asked.append("open"))
    again = breaker.check_health(lambda: asked.append("permitted"))

    assert (unasked, well, again, asked) == (False, True, False, ["open"])
    assert breaker.state == State.OPEN
    breaker.call(str)
    assert breaker.state == State.HALF_OPEN


@pytest.mark.parametrize("check", [down, lambda: False, lambda: 0])
def test_unhealthy_dependency_changes_nothing(
    make: Callable[..., CircuitBreaker], check: Callable[[], object]
) -> None:
    breaker = make()
    fail(breaker)

    well = breaker.check_health(check)

    assert (well, breaker.try_acquire()) == (False, None)


@pytest.mark.parametrize("check", [asyncio.sleep, None, 5])
def test_check_that_is_no_plain_function_is_refused_in_any_state(
    make: Callable[..., CircuitBreaker], check: Any
) -> None:
    breaker = make()

    with pytest.raises(TypeError) as refusal:
        breaker.check_health(check)

    assert str(refusal.value) == f"check must be a plain function, got {check!r}"


def test_check_that_cannot_be_called_in_a_task_is_refused(
    make: Callable[..., CircuitBreaker],
) -> None:
    breaker = make()

    with pytest.raises(TypeError, match="needs a callable, got 5"):
        asyncio.run(breaker.acheck_health(5))  # type: ignore[arg-type]


async def _ping() -> None:
    await asyncio.sleep(0)


async def _down() -> None:
    down()


@pytest.mark.parametrize(
    ("check", "well"),
    [
        (_ping, True),
        (_down, False),
        (str, False),
        (int.__call__, False),
        (dict, False),
        (print, True),
    ],
)
def test_health_is_checked_in_a_task_too(
    make: Callable[..., CircuitBreaker],
    check: Any,
    well: bool,  # noqa: FBT001
) -> None:
    breaker = make()
    before = asyncio.run(breaker.acheck_health(check))
    fail(breaker)

    assert (before, asyncio.run(breaker.acheck_health(check))) == (False, well)


def test_shed_rejects_the_share_that_is_not_answered(fake_clock: FakeClock) -> None:
    breaker = CircuitBreaker(
        "shard",
        trip=5,
        recovery=Shed(2.0, memory=20),
        clock=fake_clock,
        chance=Random(3).random,
        registry="none",
    )
    works = Random(4).random
    sent = 0

    for _ in range(6000):
        fake_clock.advance(0.01)
        permit = breaker.try_acquire()
        if permit is not None:
            sent += 1
            permit.success() if works() < 0.2 else permit.failure()

    seen = breaker.snapshot()
    assert seen.state == State.HALF_OPEN
    assert 0.05 <= seen.admitting <= 0.7
    assert seen.rejected + sent == 6000
    assert "lets" in breaker.explain()


def test_threads_of_a_ramp_lose_no_answer(fake_clock: FakeClock) -> None:
    breaker = CircuitBreaker(
        "payments",
        trip=1,
        recovery=Wait(10, jitter=0),
        ramp=Ramp((0.5, 1)),
        clock=fake_clock,
        registry="none",
    )
    ramp_up(breaker, fake_clock)
    before = breaker.snapshot().totals.calls

    def work(_: int) -> bool:
        permit = breaker.try_acquire()
        if permit is not None:
            permit.success()
        return permit is not None

    with ThreadPoolExecutor(4) as pool:
        admitted = sum(pool.map(work, range(2000)))

    after = breaker.snapshot()
    assert after.totals.calls - before == admitted
    assert after.rejected == 2000 - admitted
    assert 700 <= admitted <= 1300


@pytest.mark.recloser_allow_callback_errors
@pytest.mark.parametrize("key", [lambda tenant: 1 / 0, lambda tenant: [tenant]])
def test_key_that_cannot_be_told_leaves_the_call_to_chance(
    make: Callable[..., CircuitBreaker], key: Callable[[str], Any]
) -> None:
    breaker = make()
    guarded = breaker(key=key)(lambda tenant: tenant)
    force(breaker, State.HALF_OPEN)

    assert guarded("a") == "a"
    assert breaker.snapshot().callback_errors == 1


@pytest.mark.parametrize("state", [state for state in State if state is not State.OPEN])
def test_permission_to_probe_means_nothing_unless_the_circuit_is_open(
    make: Callable[..., CircuitBreaker], state: State
) -> None:
    breaker = make()
    force(breaker, state)
    epoch = breaker.snapshot().epoch

    breaker.permit_probes()

    assert (breaker.state, breaker.snapshot().epoch) == (state, epoch)
