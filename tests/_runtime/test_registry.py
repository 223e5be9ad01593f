"""Names: finding breakers again, without keeping them."""

from __future__ import annotations

import gc

import pytest

from recloser import (
    CircuitBreaker,
    Registry,
    State,
    breakers,
    get_breaker,
    reset_all,
)


@pytest.fixture
def registry():
    return Registry()


def test_breaker_registers_itself_in_the_default_registry():
    payments = CircuitBreaker("test_registry.payments")

    assert get_breaker("test_registry.payments") is payments
    assert payments in breakers()


def test_unknown_name_gives_none(registry):
    assert registry.get("nobody") is None
    assert get_breaker("test_registry.nobody") is None


def test_breaker_of_its_own_registry_is_found_only_there(registry):
    payments = CircuitBreaker("test_registry.own", registry=registry)

    assert registry.get("test_registry.own") is payments
    assert get_breaker("test_registry.own") is None


def test_breaker_of_no_registry_is_found_nowhere():
    payments = CircuitBreaker("test_registry.none", registry="none")

    assert get_breaker("test_registry.none") is None
    assert payments not in breakers()


def test_registry_keeps_no_breaker_alive(registry):
    CircuitBreaker("payments", registry=registry)
    gc.collect()

    assert registry.get("payments") is None
    assert len(registry) == 0
    assert list(registry) == []


def test_newest_of_a_name_is_found(registry):
    old = CircuitBreaker("payments", registry=registry)
    new = CircuitBreaker("payments", registry=registry)

    assert registry.get("payments") is new
    assert len(registry) == 2
    assert set(registry) == {old, new}


def test_older_breaker_is_found_when_the_newest_is_gone(registry):
    old = CircuitBreaker("payments", registry=registry)
    newer = CircuitBreaker("payments", registry=registry)
    newest = CircuitBreaker("payments", registry=registry)

    del newest
    gc.collect()
    assert registry.get("payments") is newer
    del newer
    gc.collect()

    assert registry.get("payments") is old


def test_breakers_are_listed_by_name(registry):
    held = [CircuitBreaker(name, registry=registry) for name in ("b", "c", "a")]

    assert [breaker.name for breaker in registry] == ["a", "b", "c"]
    assert len(held) == len(registry)


def test_reset_all_resets_every_living_breaker(registry):
    held = [CircuitBreaker(name, registry=registry) for name in ("a", "a", "b")]
    for breaker in held:
        breaker.force_open()

    registry.reset_all()

    assert [breaker.state for breaker in held] == [State.CLOSED] * 3


def test_reset_all_of_the_module_is_for_the_default_registry(registry):
    default = CircuitBreaker("test_registry.default")
    own = CircuitBreaker("own", registry=registry)
    default.force_open()
    own.force_open()

    reset_all()

    assert default.state is State.CLOSED
    assert own.state is State.FORCED_OPEN


def test_cleared_registry_forgets_and_the_breakers_go_on(registry):
    payments = CircuitBreaker("payments", registry=registry)

    registry.clear()

    assert registry.get("payments") is None
    assert len(registry) == 0
    payments.trip()
    assert payments.state is State.OPEN


def test_breaker_can_be_added_by_hand(registry):
    payments = CircuitBreaker("payments", registry="none")

    registry.add(payments)

    assert registry.get("payments") is payments


def test_breakers_may_come_and_go_while_others_look(registry, threads):
    def come_and_go():
        for number in range(200):
            CircuitBreaker(f"payments-{number % 7}", registry=registry)
            list(registry)
            registry.get("payments-3")

    workers = [threads.start(come_and_go) for _ in range(3)]

    assert [worker.join().error for worker in workers] == [None] * 3


def test_what_is_no_breaker_cannot_be_added(registry):
    with pytest.raises(TypeError, match="must be a CircuitBreaker, got 'payments'"):
        registry.add("payments")

    assert len(registry) == 0
