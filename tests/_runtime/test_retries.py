from __future__ import annotations

import os
import threading

import pytest

from recloser import BreakerGroup, RetryBudget
from recloser._runtime import retries


def test_budget_begins_with_its_reserve_and_ends_with_it(make):
    budget = RetryBudget(make(), reserve=3)

    assert [budget.take() for _ in range(5)] == [True, True, True, False, False]


def test_successes_of_the_breaker_earn_retries(make, service):
    payments = make(trip=100)
    budget = RetryBudget(payments, share=0.5, reserve=2)
    while budget.take():
        pass

    for _ in range(3):
        payments.call(service.answer)

    assert budget.left == 1
    assert [budget.take(), budget.take()] == [True, False]


def test_successes_from_before_the_budget_earn_nothing(make, service):
    payments = make()
    for _ in range(50):
        payments.call(service.answer)
    budget = RetryBudget(payments, share=1, reserve=1)

    assert [budget.take(), budget.take()] == [True, False]


def test_failures_and_rejections_earn_nothing(make, fail):
    payments = make(trip=100)
    budget = RetryBudget(payments, share=1, reserve=1)
    budget.take()

    fail(payments, 20)

    assert budget.take() is False


def test_open_and_probing_circuits_allow_no_retry_and_keep_what_is_saved(make, clock):
    payments = make()
    budget = RetryBudget(payments)

    payments.trip()
    while_open = budget.take()
    clock.advance(10)
    with payments:
        while_probing = budget.take()
    payments.force_open()
    while_forced = budget.take()

    assert (while_open, while_probing, while_forced) == (False, False, False)
    payments.reset()
    assert budget.left == 10


def test_disabled_breaker_counts_nothing_and_allows_all(make):
    payments = make()
    budget = RetryBudget(payments, reserve=1)

    payments.disable()

    assert [budget.take() for _ in range(5)] == [True] * 5


def test_threads_share_one_budget(make):
    """Detects a read and a write of the store that another thread gets between."""
    budget = RetryBudget(make(), reserve=200)
    taken: list[bool] = []

    def take_many() -> None:
        taken.extend([budget.take() for _ in range(100)])

    threads = [threading.Thread(target=take_many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert taken.count(True) == 200


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"share": 0}, ValueError, "share must be in"),
        ({"share": 20}, ValueError, "did you mean 0.2"),
        ({"share": "x"}, TypeError, "share must be a number"),
        ({"reserve": 0}, ValueError, "reserve must be at least 1"),
        ({"reserve": 1.5}, TypeError, "reserve must be a whole number"),
    ],
)
def test_bad_numbers_are_refused(make, options, error, text):
    with pytest.raises(error, match=text):
        RetryBudget(make(), **options)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_child_of_a_fork_has_a_lock_of_its_own(make):
    budget = RetryBudget(make())
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with budget._lock:
            held.set()
            let_go.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(20)
    budget.after_fork()
    free = budget._lock.acquire(blocking=False)
    let_go.set()
    holder.join()

    assert free


def test_budget_says_whose_it_is(make):
    assert repr(RetryBudget(make())) == "<RetryBudget of 'payments', 10 left>"


@pytest.mark.parametrize("breaker", ["payments", None, BreakerGroup("hosts")])
def test_budget_of_what_is_no_breaker_is_refused(breaker):
    with pytest.raises(TypeError) as refusal:
        RetryBudget(breaker)

    assert str(refusal.value) == f"breaker must be a CircuitBreaker, got {breaker!r}"


def test_retry_that_a_signal_handler_takes_in_the_middle_is_not_given_twice(
    make, monkeypatch
):
    budget = RetryBudget(make(), reserve=1)
    taken: list[bool] = []
    real = retries.spend

    def interrupted(store):
        monkeypatch.setattr(retries, "spend", real)
        taken.append(budget.take())
        return real(store)

    monkeypatch.setattr(retries, "spend", interrupted)

    taken.append(budget.take())

    assert taken == [True, False]
