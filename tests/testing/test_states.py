"""Breakers in any state, in one line."""

from __future__ import annotations

import pytest

from recloser import CircuitBreaker, CircuitOpenError, State
from recloser.testing import disabled, force


@pytest.fixture
def payments():
    return CircuitBreaker("test_states.payments", trip=1)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("before", State)
def test_any_state_is_one_line_away(payments, before, state):
    force(payments, before)
    epoch = payments.snapshot().epoch

    force(payments, state)

    assert payments.state is state
    assert payments.snapshot().epoch > epoch


def test_state_can_be_given_as_a_string(payments):
    force(payments, "half_open")

    assert payments.state is State.HALF_OPEN


def test_what_is_no_breaker_is_refused():
    with pytest.raises(TypeError, match="must be a CircuitBreaker, got None"):
        force(None, State.OPEN)


def test_what_is_no_state_is_refused(payments):
    with pytest.raises(ValueError, match="ajar"):
        force(payments, "ajar")

    assert payments.state is State.CLOSED


def test_forced_half_open_round_begins_with_all_places_free(payments):
    force(payments, State.HALF_OPEN)

    assert payments.snapshot().probes == 0
    payments.acquire().success()
    assert payments.state is State.CLOSED


def test_forced_open_wait_begins_now(payments):
    force(payments, State.OPEN)

    with pytest.raises(CircuitOpenError):
        payments.acquire()
    assert 26.9 < payments.snapshot().retry_after <= 33


def test_disabled_lets_everything_through_for_a_while(payments):
    payments.trip()

    with disabled():
        assert payments.call(lambda: "answer") == "answer"
        assert payments.state is State.DISABLED

    assert payments.state is State.CLOSED


def test_disabled_holds_for_breakers_made_inside():
    with disabled():
        made = CircuitBreaker("test_states.made", initial_state=State.OPEN)
        assert made.state is State.DISABLED


def test_breaker_made_inside_is_enabled_at_the_end():
    with disabled():
        made = CircuitBreaker("test_states.made")

    assert made.state is State.CLOSED


def test_disabled_ends_when_the_block_fails(payments):
    with pytest.raises(KeyError), disabled():
        raise KeyError

    assert payments.state is State.CLOSED
    assert CircuitBreaker("test_states.after").state is State.CLOSED


def test_inner_block_does_not_enable_what_the_outer_disabled(payments):
    with disabled():
        with disabled():
            pass
        assert payments.state is State.DISABLED
        assert CircuitBreaker("test_states.later").state is State.DISABLED

    assert payments.state is State.CLOSED


def test_disabled_can_decorate_a_test(payments):
    @disabled()
    def run():
        return payments.state

    assert run() is State.DISABLED
    assert payments.state is State.CLOSED
