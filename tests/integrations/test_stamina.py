from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import stamina
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from recloser import CircuitBreaker, CircuitOpenError, RetryBudget, State, Wait
from recloser.integrations.stamina import ignore, unless_open
from recloser.testing import FakeClock
from tests.integrations.loopback import Answer, Loopback

WAIT = 0.01


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def api(clock: FakeClock) -> CircuitBreaker:
    """A breaker that opens at the third failure in a row."""
    return CircuitBreaker(
        "api", trip=3, recovery=Wait(WAIT, jitter=0), clock=clock, registry="none"
    )


@pytest.fixture
def fetch(server: Loopback, api: CircuitBreaker) -> Any:
    """A guarded call of a real server."""

    @api
    def fetch_guarded() -> str:
        return httpx.get(server.url).raise_for_status().text

    return fetch_guarded


@pytest.fixture(autouse=True)
def waits(clock: FakeClock) -> Iterator[list[float]]:
    """What stamina waits for, which moves the clock."""
    waited: list[float] = []

    def wait(details: RetryDetails) -> None:
        waited.append(details.wait_for)
        clock.advance(details.wait_for)

    set_on_retry_hooks([wait])
    yield waited
    set_on_retry_hooks(None)


def retrying(on: Any, attempts: int = 10) -> stamina.RetryingCaller:
    return stamina.RetryingCaller(
        attempts=attempts, wait_initial=0, wait_max=0, wait_jitter=0
    ).on(on)


def test_open_circuit_ends_the_loop(server, api, fetch):
    server.always(Answer(503))

    with pytest.raises(CircuitOpenError):
        retrying(unless_open())(fetch)

    assert len(server.visits) == 3
    assert api.snapshot().rejected == 1


def test_failures_are_retried_as_given(server, fetch):
    server.script(Answer(503), Answer(503), Answer(503))

    assert retrying(unless_open(httpx.HTTPStatusError), 2)
    with pytest.raises(httpx.HTTPStatusError):
        retrying(unless_open((KeyError, ValueError)))(fetch)
    with pytest.raises(httpx.HTTPStatusError):
        retrying(unless_open(lambda error: False))(fetch)
    assert len(server.visits) == 2


def test_own_pause_of_a_hook_is_kept(server, fetch, waits):
    server.script(Answer(503))

    retrying(unless_open(lambda error: 0.005))(fetch)

    assert waits == [0.005]


def test_loop_waits_until_the_circuit_may_let_it_in(server, api, fetch, waits):
    server.script(*[Answer(503)] * 3)

    assert retrying(unless_open(longest_wait=30))(fetch) == "ok"

    assert waits == [0, 0, 0, WAIT]
    assert (len(server.visits), api.snapshot().rejected) == (4, 1)
    assert api.state is State.CLOSED


def test_longer_wait_than_asked_for_ends_the_loop(api, fetch, waits):
    api.trip()

    with pytest.raises(CircuitOpenError):
        retrying(unless_open(longest_wait=WAIT / 2))(fetch)

    assert waits == []


def test_budget_limits_retries_over_all_loops(server):
    api = CircuitBreaker("api", trip=1000, registry="none")
    budget = RetryBudget(api, reserve=5)
    server.always(Answer(503))

    @api
    def fetch() -> None:
        httpx.get(server.url).raise_for_status()

    for _ in range(5):
        with pytest.raises(httpx.HTTPStatusError):
            retrying(unless_open(budget=budget), 10)(fetch)

    assert len(server.visits) == 5 + 5


@pytest.mark.parametrize("bad", [7, "ConnectionError", (OSError, 7), KeyboardInterrupt])
def test_what_cannot_be_retried_is_refused(bad: Any):
    with pytest.raises(TypeError, match="on must be exception types or a function"):
        unless_open(bad)


def test_rejections_say_nothing_to_a_breaker_around():
    assert ignore(CircuitOpenError("api"))
    assert not ignore(OSError())
