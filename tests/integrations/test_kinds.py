"""What is handed to an integration is checked before anything is guarded with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
import redis
from botocore.session import Session
from sqlalchemy import create_engine

from recloser import CircuitBreaker
from recloser.integrations import botocore as our_botocore
from recloser.integrations import celery as our_celery
from recloser.integrations import grpc as our_grpc
from recloser.integrations import psycopg as our_psycopg
from recloser.integrations import redis as our_redis
from recloser.integrations import sqlalchemy as our_sqlalchemy
from recloser.integrations import stamina as our_stamina
from recloser.integrations import tenacity as our_tenacity


def s3() -> Any:
    return Session().create_client("s3", region_name="eu-central-1")


GUARDS: dict[str, Callable[[Any], Any]] = {
    "botocore": lambda breaker: our_botocore.guard(s3(), breaker),
    "celery": our_celery.guard,
    "grpc": our_grpc.interceptor,
    "grpc.aio": our_grpc.aio_interceptors,
    "psycopg": lambda breaker: our_psycopg.guard(psycopg.Connection, breaker),
    "redis": lambda breaker: our_redis.guard(redis.Redis(), breaker),
    "sqlalchemy": lambda b: our_sqlalchemy.guard(create_engine("sqlite://"), b),
}
CLIENTS: dict[str, tuple[Callable[..., Any], str]] = {
    "botocore": (our_botocore.guard, "client must be BaseClient"),
    "psycopg": (our_psycopg.guard, "connections must be a class of connections"),
    "redis": (our_redis.guard, "client must be a client of redis-py"),
    "sqlalchemy": (our_sqlalchemy.guard, "engine must be Engine or AsyncEngine"),
}


@pytest.mark.parametrize("guard", GUARDS.values(), ids=GUARDS)
@pytest.mark.parametrize("given", ["payments", None, CircuitBreaker])
def test_what_is_no_breaker_is_refused(guard: Callable[[Any], Any], given: object):
    with pytest.raises(TypeError) as caught:
        guard(given)

    expected = f"breaker must be CircuitBreaker or Guard, got {given!r}"
    assert str(caught.value) == expected


@pytest.mark.parametrize(("guard", "text"), CLIENTS.values(), ids=CLIENTS)
@pytest.mark.parametrize("given", ["client", None, int, redis.Redis])
def test_what_is_no_client_is_refused(
    guard: Callable[..., Any], text: str, given: object
):
    with pytest.raises(TypeError) as caught:
        guard(given, CircuitBreaker("payments"))

    assert str(caught.value) == f"{text}, got {given!r}"


@pytest.mark.parametrize(
    "make",
    [
        our_tenacity.stop_when_spent,
        lambda budget: our_stamina.unless_open(OSError, budget=budget),
    ],
)
def test_what_is_no_budget_is_refused(make: Callable[[Any], Any]):
    with pytest.raises(TypeError, match=r"budget must be RetryBudget.*, got 'ten'"):
        make("ten")
