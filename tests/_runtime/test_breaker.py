"""How a breaker is made, changed, shown and copied."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import time
from datetime import timedelta
from math import inf, nan
from typing import NamedTuple

import pytest

from recloser import (
    Backoff,
    CircuitBreaker,
    CircuitOpenError,
    ConsecutiveFailures,
    CountWindow,
    FailureRate,
    Policy,
    Registry,
    SlowCallRate,
    State,
    TimeWindow,
    Wait,
)
from recloser.testing import force

# -- made right ----------------------------------------------------------------------


def test_breaker_is_right_by_default():
    payments = CircuitBreaker("payments", registry="none")

    assert payments.name == "payments"
    assert payments.state is State.CLOSED
    assert payments.policy == Policy(
        trip=ConsecutiveFailures(5),
        recovery=Wait(30, jitter=0.1),
        probes=1,
        probe_concurrency=1,
        probe_lease=30.0,
    )


def test_default_breaker_opens_after_five_failures_for_half_a_minute_and_a_bit():
    payments = CircuitBreaker("payments", registry="none")

    for _ in range(5):
        assert payments.state is State.CLOSED
        payments.acquire().failure()

    assert payments.state is State.OPEN
    assert 26.9 <= payments.snapshot().retry_after <= 33


def test_numbers_and_timedeltas_are_short_for_values():
    payments = CircuitBreaker(
        "payments",
        trip=3,
        recovery=timedelta(minutes=1),
        probe_lease=timedelta(seconds=5),
        registry="none",
    )

    assert payments.policy.trip == ConsecutiveFailures(3)
    assert payments.policy.recovery == Wait(60)
    assert payments.policy.probe_lease == 5.0


def test_name_is_the_only_positional_argument():
    with pytest.raises(TypeError, match="positional"):
        CircuitBreaker("payments", Policy())


def test_policy_is_the_base_and_options_replace_single_settings():
    base = Policy(trip=9, probes=4, probe_concurrency=2)

    payments = CircuitBreaker("payments", policy=base, probes=3, registry="none")

    assert payments.policy == base.replace(probes=3)


def test_one_policy_serves_any_number_of_breakers(make, fail):
    base = Policy(trip=1, recovery=Wait(10, jitter=0))
    one = make("one", policy=base, recovery=None)
    two = make("two", policy=base, recovery=None)

    fail(one)

    assert one.policy is two.policy is base
    assert (one.state, two.state) == (State.OPEN, State.CLOSED)


@pytest.mark.parametrize("state", [s for s in State if s is not State.HALF_OPEN])
def test_breaker_can_begin_in_any_state_but_half_open(make, state):
    assert make(initial_state=state).state is state
    assert make(initial_state=str(state)).state is state


def test_breaker_that_begins_open_waits_and_then_probes(make, clock, service):
    payments = make(initial_state=State.OPEN)

    assert payments.snapshot().retry_after == 10
    clock.advance(10)
    assert payments.call(service.answer) == "answer"
    assert payments.state is State.CLOSED


# -- bad input -----------------------------------------------------------------------


class Bad(NamedTuple):
    """An option, the error, and what the error says of value and rule."""

    options: dict
    error: type[Exception]
    text: str


async def acheck(error):
    pass


BAD = [
    Bad({"name": None}, TypeError, "name must be a string, got None"),
    Bad({"name": 3}, TypeError, "name must be a string, got 3"),
    Bad({"name": b"x"}, TypeError, "name must be a string, got b'x'"),
    Bad({"name": ""}, ValueError, "name must not be empty, got ''"),
    Bad({"trip": 0}, ValueError, "trip must be at least 1, got 0"),
    Bad({"trip": -5}, ValueError, "trip must be at least 1, got -5"),
    Bad({"trip": 2.5}, TypeError, "trip must be a trip rule or a number.*got 2.5"),
    Bad({"trip": True}, TypeError, "trip must be a trip rule or a number.*got True"),
    Bad({"trip": "5"}, TypeError, "trip must be a trip rule or a number.*got '5'"),
    Bad({"trip": Wait(3)}, TypeError, "trip must be a trip rule"),
    Bad({"recovery": 0}, ValueError, "recovery must be more than 0 seconds, got 0"),
    Bad({"recovery": -1}, ValueError, "recovery must be more than 0 seconds, got -1"),
    Bad({"recovery": nan}, ValueError, "recovery must be finite, got nan"),
    Bad({"recovery": inf}, ValueError, "recovery must be finite, got inf"),
    Bad({"recovery": True}, TypeError, "recovery must be seconds or a timedelta"),
    Bad({"recovery": "30"}, TypeError, "must be seconds or a timedelta, got '30'"),
    Bad({"recovery": timedelta(-1)}, ValueError, "recovery must be more than 0"),
    Bad({"recovery": timedelta()}, ValueError, "recovery must be more than 0"),
    Bad({"recovery": ConsecutiveFailures(3)}, TypeError, "recovery must be seconds"),
    Bad({"probes": 0}, ValueError, "probes must be at least 1, got 0"),
    Bad({"probes": 1.0}, TypeError, "probes must be a whole number, got 1.0"),
    Bad({"probes": True}, TypeError, "probes must be a whole number, got True"),
    Bad({"probes": "1"}, TypeError, "probes must be a whole number, got '1'"),
    Bad({"probe_concurrency": 0}, ValueError, "probe_concurrency must be at least 1"),
    Bad(
        {"probe_concurrency": 2},
        ValueError,
        r"probe_concurrency must be at most probes \(1\), got 2",
    ),
    Bad(
        {"probes": 3, "probe_concurrency": 4},
        ValueError,
        r"probe_concurrency must be at most probes \(3\), got 4",
    ),
    Bad({"probe_lease": 0}, ValueError, "probe_lease must be more than 0.*got 0"),
    Bad({"probe_lease": nan}, ValueError, "probe_lease must be finite, got nan"),
    Bad({"probe_lease": timedelta(-1)}, ValueError, "probe_lease must be more than 0"),
    Bad({"probe_lease": "30"}, TypeError, "probe_lease must be seconds"),
    Bad({"policy": {}}, TypeError, "policy must be a Policy, got {}"),
    Bad({"policy": 5}, TypeError, "policy must be a Policy, got 5"),
    Bad({"failures": ()}, ValueError, "failures must not be empty"),
    Bad({"failures": []}, ValueError, "failures must not be empty"),
    Bad({"failures": (int,)}, TypeError, "failures must hold exception types.*int"),
    Bad({"failures": 3}, TypeError, "failures must be exception types or.*got 3"),
    Bad({"failures": "OSError"}, TypeError, "failures must be.*got 'OSError'"),
    Bad({"failures": (OSError(),)}, TypeError, r"failures must hold.*got OSError\(\)"),
    Bad({"failures": KeyboardInterrupt}, ValueError, "failures cannot hold Keyboard"),
    Bad({"ignore": (str,)}, TypeError, "ignore must hold exception types.*str"),
    Bad({"ignore": ["KeyError"]}, TypeError, "ignore must hold.*got 'KeyError'"),
    Bad({"successes": object}, TypeError, "successes must hold exception types"),
    Bad({"failure_result": 500}, TypeError, "failure_result must be callable, got 500"),
    Bad({"retry_after": 60}, TypeError, "retry_after must be callable, got 60"),
    Bad({"listeners": [3]}, TypeError, "a listener must be callable or have.*got 3"),
    Bad({"ignore": acheck}, TypeError, "ignore is asked on the spot and cannot be"),
    Bad({"successes": [acheck]}, TypeError, "successes .*cannot be a coroutine"),
    Bad({"failures": acheck}, TypeError, "failures .*cannot be a coroutine"),
    Bad({"failure_result": acheck}, TypeError, "failure_result .*cannot be a corou"),
    Bad({"retry_after": acheck}, TypeError, "retry_after .*cannot be a coroutine"),
    Bad({"clock": 0.0}, TypeError, r"clock must be callable, got 0\.0"),
    Bad({"clock": lambda: "12"}, TypeError, r"clock\(\) must be a number, got '12'"),
    Bad({"clock": lambda: nan}, ValueError, r"clock\(\) must be finite, got nan"),
    Bad({"share": "redis://"}, TypeError, "share must be a link.*got 'redis://'"),
    Bad({"registry": None}, TypeError, 'registry must be a Registry or "none".*None'),
    Bad({"registry": "all"}, TypeError, "registry must be a Registry.*got 'all'"),
    Bad({"initial_state": "half_open"}, ValueError, "cannot be half_open: begin open"),
    Bad({"initial_state": "broken"}, ValueError, "must be a State, got 'broken'"),
    Bad({"initial_state": 1}, ValueError, "initial_state must be a State, got 1"),
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: " ".join(bad.options))
def test_bad_option_is_refused_with_its_value_and_the_rule(bad):
    options = {"name": "payments", "registry": "none", **bad.options}

    with pytest.raises(bad.error, match=bad.text):
        CircuitBreaker(**options)


@pytest.mark.parametrize(
    ("make_value", "error", "text"),
    [
        (lambda: ConsecutiveFailures(0), ValueError, "failures must be at least 1"),
        (lambda: FailureRate(0), ValueError, r"rate must be in \(0, 1\], got 0"),
        (lambda: FailureRate(1.5), ValueError, r"rate must be in \(0, 1\], got 1\.5"),
        (lambda: FailureRate(50), ValueError, "did you mean 0.5"),
        (
            lambda: FailureRate(0.5, window=CountWindow(10), minimum_calls=11),
            ValueError,
            "minimum_calls must be at most the window's 10 calls, got 11",
        ),
        (
            lambda: (
                SlowCallRate(0.5, slower_than=1) | ConsecutiveFailures(5, slower_than=2)
            ),
            ValueError,
            "one breaker has one slower_than.*1 and 2",
        ),
        (lambda: TimeWindow(timedelta(-1)), ValueError, "seconds must be more than 0"),
        (
            lambda: Backoff(10, maximum=5),
            ValueError,
            "maximum must be at least initial",
        ),
        (lambda: Wait(10, jitter=1), ValueError, r"jitter must be in \[0, 1\), got 1"),
    ],
)
def test_contradictory_policy_cannot_be_made(make_value, error, text):
    with pytest.raises(error, match=text):
        CircuitBreaker("payments", trip=make_value(), registry="none")


def test_refused_breaker_is_in_no_registry():
    registry = Registry()

    with pytest.raises(ValueError, match="at least 1"):
        CircuitBreaker("payments", trip=0, registry=registry)

    assert len(registry) == 0


@pytest.mark.parametrize(
    ("option", "whose", "ours"),
    [
        ("fail_max", "pybreaker", "trip=5"),
        ("reset_timeout", "pybreaker", "recovery=30"),
        ("exclude", "pybreaker", "ignore="),
        ("timeout_duration", "aiobreaker", "recovery=30"),
        ("failure_threshold", "circuitbreaker", "trip=5"),
        ("recovery_timeout", "circuitbreaker", "recovery=30"),
        ("expected_exception", "circuitbreaker", "failures="),
        ("fallback_function", "circuitbreaker", "@breaker(fallback="),
        ("threshold", "purgatory", "trip=5"),
        ("ttl", "purgatory", "recovery=30"),
        ("fallback", "guard", "@breaker(fallback="),
        ("timeout", "call", "recovery=30"),
    ],
)
def test_word_of_another_library_is_translated(option, whose, ours):
    with pytest.raises(TypeError) as refusal:
        CircuitBreaker("payments", **{option: 5})

    assert repr(option) in str(refusal.value)
    assert whose in str(refusal.value)
    assert ours in str(refusal.value)


def test_unknown_option_is_named():
    with pytest.raises(TypeError, match="no option 'colour'"):
        CircuitBreaker("payments", colour="red")


# -- as a value ----------------------------------------------------------------------


def test_copies_are_the_same_breaker(make):
    payments = make()

    assert copy.copy(payments) is payments
    assert copy.deepcopy(payments) is payments
    assert copy.deepcopy({"guards": [payments]})["guards"][0] is payments


def test_breaker_cannot_be_pickled_and_says_what_to_pass(make):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="pass its name, 'payments'"):
            pickle.dumps(make(), protocol)


def test_breaker_cannot_be_subclassed():
    with pytest.raises(TypeError, match="CircuitBreaker is final"):
        type("Mine", (CircuitBreaker,), {})


def test_breakers_are_equal_only_to_themselves(make):
    one, two = make(), make()

    assert one == one  # noqa: PLR0124 - that is the test
    assert one != two
    assert len({one, two, one}) == 2


def test_repr_is_one_line_to_paste_in_a_ticket(make, clock):
    payments = make()

    shown = [repr(payments)]
    payments.trip()
    clock.advance(2.5)
    shown.append(repr(payments))
    clock.advance(7.5)
    shown.append(repr(payments))
    payments.acquire()
    shown.append(repr(payments))
    for command in ("force_open", "disable", "observe"):
        getattr(payments, command)()
        shown.append(repr(payments))

    assert shown == [
        "<CircuitBreaker 'payments' closed>",
        "<CircuitBreaker 'payments' open, retry in 7.5 s>",
        "<CircuitBreaker 'payments' open, next call is the probe>",
        "<CircuitBreaker 'payments' half-open>",
        "<CircuitBreaker 'payments' forced-open>",
        "<CircuitBreaker 'payments' disabled>",
        "<CircuitBreaker 'payments' metrics-only>",
    ]


def test_attributes_cannot_be_set(make):
    payments = make()

    with pytest.raises(AttributeError):
        payments.state = State.OPEN
    with pytest.raises(AttributeError):
        payments.trips = 3


def test_state_equals_its_string(make):
    assert make().state == "closed"


# -- errors --------------------------------------------------------------------------


def test_rejection_pickles_with_all_its_facts(make, fail):
    payments = make(trip=1)
    fail(payments)
    with pytest.raises(CircuitOpenError) as rejection:
        payments.acquire()

    again = pickle.loads(pickle.dumps(rejection.value))  # noqa: S301 - our own bytes

    for fact in ("name", "state", "retry_after", "reason", "last_failure"):
        assert getattr(again, fact) == getattr(rejection.value, fact)
    assert str(again) == str(rejection.value)


def test_each_rejection_is_a_new_object(make):
    payments = make(initial_state=State.OPEN)
    errors = []

    for _ in range(2):
        with pytest.raises(CircuitOpenError) as rejection:
            payments.acquire()
        errors.append(rejection.value)

    assert errors[0] is not errors[1]
    assert errors[0].__traceback__ is not errors[1].__traceback__


def test_rejection_says_what_happened_and_when_to_come_back(make, fail):
    payments = make(trip=2)
    fail(payments, 2)

    with pytest.raises(CircuitOpenError) as rejection:
        payments.acquire()

    error = rejection.value
    assert str(error) == "'payments' is open (2 failures in a row): retry in 10 s"
    assert error.last_failure.type == "OSError"
    assert "down" not in str(error)  # a message may hold secrets


# -- reconfigure ---------------------------------------------------------------------


def test_reconfigure_keeps_state_and_evidence(make, fail, service):
    payments = make(trip=5)
    fail(payments, 2)
    before = payments.snapshot()

    payments.reconfigure(trip=3, probes=2, recovery=60)

    after = payments.snapshot()
    assert (after.state, after.epoch, after.streak) == (State.CLOSED, before.epoch, 2)
    assert payments.policy.probes == 2
    assert payments.policy.recovery == Wait(60)
    fail(payments)
    assert payments.state is State.OPEN


def test_reconfigure_keeps_a_streak_that_ages(make, fail):
    payments = make(trip=ConsecutiveFailures(3, within=60))
    fail(payments, 2)

    payments.reconfigure(probes=2)
    assert payments.snapshot().streak == 2
    fail(payments)

    assert payments.state is State.OPEN


def test_reconfigure_keeps_windows_that_stay_and_empties_new_ones(make, fail):
    kept = CountWindow(10)
    payments = make(trip=FailureRate(0.9, window=kept))
    fail(payments, 2)

    new = TimeWindow(60)
    payments.reconfigure(
        trip=FailureRate(0.5, window=kept) | FailureRate(1, window=new)
    )

    counts = payments.snapshot().counts
    assert counts[kept].failures == 2
    assert counts[new].failures == 0


def test_reconfigure_lets_a_begun_wait_end_as_it_was_going_to(make, fail, clock):
    payments = make(trip=1)
    fail(payments)
    clock.advance(4)

    payments.reconfigure(recovery=Wait(1000, jitter=0))

    assert payments.snapshot().retry_after == 6


def test_reconfigure_takes_a_whole_policy(make):
    payments = make()
    policy = Policy(trip=2, recovery=3, probes=4)

    payments.reconfigure(policy=policy)

    assert payments.policy is policy


def test_reconfigure_keeps_a_half_open_round(make, service):
    payments = make(probes=3)
    force(payments, State.HALF_OPEN)
    payments.call(service.answer)
    payments.reconfigure(probes=2)
    payments.call(service.answer)

    assert payments.state is State.CLOSED


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"trip": 0}, ValueError),
        ({"probes": 0}, ValueError),
        ({"probe_concurrency": 7}, ValueError),
        ({"recovery": nan}, ValueError),
        ({"policy": 3}, TypeError),
        ({"policy": 0}, TypeError),
        ({"policy": {}}, TypeError),
        ({"colour": "red"}, TypeError),
        ({"ignore": (KeyError,)}, TypeError),
    ],
)
def test_bad_change_changes_nothing(make, changes, error):
    payments = make()
    before = payments.policy

    with pytest.raises(error):
        payments.reconfigure(**changes)

    assert payments.policy is before


def test_policy_is_read_only_and_in_force(make):
    payments = make(trip=3)

    with pytest.raises(AttributeError):
        payments.policy.probes = 3
    assert payments.policy.trip == ConsecutiveFailures(3)


def test_reconfigure_lets_those_in_who_wait_for_a_place_that_there_is_now(
    make, clock, threads
):
    payments = make(probes=3, probe_lease=1000)
    force(payments, State.HALF_OPEN)
    payments.acquire()
    caller = threads.start(lambda: payments.acquire(timeout=500))
    threads.until(lambda: clock.sleepers == 1)

    payments.reconfigure(probe_concurrency=2)

    assert caller.join().result.is_probe


def test_two_changes_at_once_are_both_made(make, threads):
    payments = make()

    def change(**settings):
        for _ in range(200):
            payments.reconfigure(**settings)

    one = threads.start(lambda: change(trip=7))
    two = threads.start(lambda: change(probes=8))

    assert [one.join().error, two.join().error] == [None, None]
    assert payments.policy.trip == ConsecutiveFailures(7)
    assert payments.policy.probes == 8


# -- the switch for whole suites -----------------------------------------------------

PROGRAM = """
import logging
logging.basicConfig(format="%(name)s %(levelname)s %(message)s")
from recloser import CircuitBreaker, State
payments = CircuitBreaker("payments", trip=1, initial_state=State.OPEN)
CircuitBreaker("bank")
for _ in range(3):
    try:
        payments.call(lambda: 1 / 0)
    except ZeroDivisionError:
        pass
print(payments.state)
"""


def run_with_switch(value: str | None) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "RECLOSER_DISABLED"}
    if value is not None:
        environment["RECLOSER_DISABLED"] = value
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("value", ["1", "true", "yes", "on", " 1 "])
def test_environment_disables_every_breaker_and_says_so_once(value):
    run = run_with_switch(value)

    assert run.stdout == "disabled\n"
    assert run.stderr.count("RECLOSER_DISABLED is set") == 1
    assert run.stderr.startswith("recloser WARNING ")


@pytest.mark.parametrize("value", [None, "", "0", "false", "No", "off"])
def test_breakers_are_enabled_unless_the_environment_says_otherwise(value):
    run = run_with_switch(value)

    assert run.returncode == 1
    assert "CircuitOpenError" in run.stderr
    assert "RECLOSER_DISABLED" not in run.stderr.replace(PROGRAM, "")


def test_clock_is_monotonic_time_by_default():
    before = time.monotonic()

    payments = CircuitBreaker("payments", registry="none")

    assert before <= payments.snapshot().since <= time.monotonic()


class Unhashable(ConsecutiveFailures):
    __hash__ = None


def test_rule_without_a_hash_will_do(make, fail):
    payments = make(trip=Unhashable(2))

    fail(payments, 2)

    assert payments.state is State.OPEN
