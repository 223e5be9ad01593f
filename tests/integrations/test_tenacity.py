from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
import tenacity

from recloser import CircuitBreaker, CircuitOpenError, RetryBudget, State, Wait
from recloser.integrations import httpx as guarded
from recloser.integrations.tenacity import (
    ignore,
    retry_unless_open,
    stop_when_spent,
    wait_retry_after,
)
from recloser.testing import FakeClock
from tests.integrations.loopback import Answer, Loopback


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def api(clock: FakeClock) -> CircuitBreaker:
    """A breaker that opens at the third failure in a row."""
    return CircuitBreaker(
        "api",
        trip=3,
        recovery=Wait(10, jitter=0),
        clock=clock,
        failures=guarded.failures,
        registry="none",
    )


@pytest.fixture
def fetch(server: Loopback, api: CircuitBreaker) -> Any:
    """A guarded call of a real server."""

    @api
    def fetch_guarded() -> str:
        return httpx.get(server.url).raise_for_status().text

    return fetch_guarded


def retrying(clock: FakeClock, **options: Any) -> tenacity.Retrying:
    """Make a loop whose sleep moves the clock."""
    usual = {
        "retry": retry_unless_open(),
        "stop": tenacity.stop_after_attempt(10),
        "sleep": clock.advance,
        "reraise": True,
    }
    return tenacity.Retrying(**{**usual, **options})


def test_open_circuit_ends_the_loop(server, api, fetch, clock):
    server.always(Answer(503))

    with pytest.raises(CircuitOpenError):
        retrying(clock)(fetch)

    assert len(server.visits) == 3
    assert api.snapshot().rejected == 1


def test_open_circuit_is_asked_once(server, api, fetch, clock):
    api.trip()

    with pytest.raises(CircuitOpenError):
        retrying(clock, wait=tenacity.wait_fixed(1))(fetch)

    assert (api.snapshot().rejected, clock()) == (1, 0)


def test_failures_are_retried_as_the_other_strategy_says(server, fetch, clock):
    server.script(Answer(503), Answer(500))

    assert retrying(clock)(fetch) == "ok"

    server.script(Answer(503))
    never = retry_unless_open(tenacity.retry_if_exception_type(KeyError))
    with pytest.raises(httpx.HTTPStatusError):
        retrying(clock, retry=never)(fetch)


def test_results_are_retried_as_the_other_strategy_says(server, fetch, clock):
    server.script(Answer(body=b"later"))
    later = retry_unless_open(tenacity.retry_if_result(lambda text: text == "later"))

    assert retrying(clock, retry=later)(fetch) == "ok"


def test_loop_waits_until_the_circuit_may_let_it_in(server, api, fetch, clock):
    server.script(*[Answer(503)] * 3)

    text = retrying(
        clock,
        retry=retry_unless_open(longest_wait=30),
        wait=wait_retry_after(tenacity.wait_fixed(1)),
    )(fetch)

    assert text == "ok"
    assert (len(server.visits), api.snapshot().rejected) == (4, 1)
    assert (api.state, clock()) == (State.CLOSED, 1 + 1 + 10)


def test_longer_wait_than_asked_for_ends_the_loop(api, fetch, clock):
    api.trip()

    with pytest.raises(CircuitOpenError):
        retrying(
            clock, retry=retry_unless_open(longest_wait=9), wait=wait_retry_after()
        )(fetch)

    assert clock() == 0


def test_forced_open_circuit_is_never_waited_for(api, fetch, clock):
    api.force_open()

    with pytest.raises(CircuitOpenError):
        retrying(clock, retry=retry_unless_open(longest_wait=1e9))(fetch)

    assert api.snapshot().rejected == 1


def test_error_made_of_a_rejection_is_one(api, clock):
    api.trip()

    def translated() -> None:
        try:
            api.acquire()
        except CircuitOpenError as rejection:
            raise ConnectionError from rejection

    with pytest.raises(ConnectionError):
        retrying(clock)(translated)

    assert api.snapshot().rejected == 1


def test_coroutines_are_retried_alike(api):
    calls = []

    @tenacity.retry(retry=retry_unless_open(), stop=tenacity.stop_after_attempt(9))
    @api
    async def fail() -> None:
        calls.append(1)
        raise httpx.ConnectError("down")

    with pytest.raises(CircuitOpenError):
        asyncio.run(fail())

    assert len(calls) == 3


def test_breaker_around_the_loop_counts_it_once(server, api, clock):
    server.always(Answer(503))
    loop = retrying(clock, stop=tenacity.stop_after_attempt(4))

    @api
    def fetch() -> Any:
        return loop(lambda: httpx.get(server.url).raise_for_status())

    with pytest.raises(httpx.HTTPStatusError):
        fetch()

    assert len(server.visits) == 4
    assert api.snapshot().totals.failures == 1


def test_budget_limits_retries_over_all_loops(server, clock):
    api = CircuitBreaker("api", trip=1000, registry="none")
    budget = RetryBudget(api, share=0.1, reserve=5)
    server.always(Answer(503))

    @api
    def fetch() -> None:
        httpx.get(server.url).raise_for_status()

    for _ in range(20):
        stop = tenacity.stop_after_attempt(3) | stop_when_spent(budget)
        with pytest.raises(httpx.HTTPStatusError):
            retrying(clock, stop=stop)(fetch)

    assert len(server.visits) == 20 + 5


def test_budget_behind_a_limit_is_not_asked_when_that_ends_the_loop(clock):
    api = CircuitBreaker("api", trip=1000, registry="none")
    budget = RetryBudget(api)

    @api
    def fail() -> None:
        raise OSError

    with pytest.raises(OSError):
        retrying(clock, stop=tenacity.stop_after_attempt(3) | stop_when_spent(budget))(
            fail
        )

    assert budget.left == 8


def test_loop_that_ended_with_a_rejection_is_no_evidence(api, fetch, clock):
    around = CircuitBreaker("around", ignore=ignore, registry="none")
    api.trip()
    loop = retrying(
        clock,
        retry=retry_unless_open(longest_wait=30),
        stop=tenacity.stop_after_attempt(1),
        reraise=False,
    )

    with pytest.raises(tenacity.RetryError) as caught:
        around.call(loop, fetch)

    assert ignore(caught.value)
    assert around.snapshot().totals.neutral == 1
    assert not ignore(OSError())


@pytest.mark.parametrize("bad", [0, -1, float("nan")])
def test_wait_that_is_no_wait_is_refused(bad: float):
    with pytest.raises(ValueError, match="longest_wait must be more than 0"):
        retry_unless_open(longest_wait=bad)


def test_what_cannot_be_asked_is_refused():
    async def later(state: Any) -> bool:
        return True

    for bad in (later, 7):
        with pytest.raises(TypeError, match="retry must be a plain retry strategy"):
            retry_unless_open(bad)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="longest_wait must be seconds"):
        retry_unless_open(longest_wait="10")  # type: ignore[arg-type]
