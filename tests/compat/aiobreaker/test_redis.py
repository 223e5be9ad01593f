"""The Redis storage, on a real server, beside the genuine one."""

from __future__ import annotations

import logging
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiobreaker as genuine
import fakeredis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from recloser.compat import aiobreaker as ours
from recloser.compat.aiobreaker import (
    CircuitBreaker,
    CircuitBreakerError,
    CircuitBreakerState,
)
from recloser.compat.aiobreaker.storage import CircuitRedisStorage
from tests.compat.aiobreaker_run import Run, actions, options
from tests.compat.pybreaker_clock import WallClock
from tests.compat.pybreaker_peer import PeerProcess
from tests.compat.pybreaker_server import Server, running_server

OPEN, CLOSED, HALF_OPEN = CircuitBreakerState


@pytest.fixture(scope="module")
def server() -> Generator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture
def client(server: Server) -> Generator[Any]:
    with server.client() as client:
        client.flushall()
        yield client


def keys_of(client: Any) -> dict[str, str]:
    return {key.decode(): client.get(key).decode() for key in client.keys()}  # noqa: SIM118


def fail() -> None:
    raise OSError("down")


def trip(breaker: CircuitBreaker) -> None:
    for _ in range(breaker.fail_max):
        with pytest.raises((OSError, CircuitBreakerError)):
            breaker.call(fail)


def test_the_first_values_are_written_under_the_originals_keys(client: Any) -> None:
    storage = CircuitRedisStorage(CLOSED, client)

    assert storage.name == "redis"
    assert keys_of(client) == {
        "aiobreaker:state": "CLOSED",
        "aiobreaker:fail_counter": "0",
    }


def test_a_namespace_comes_before_the_keys(client: Any) -> None:
    breaker = CircuitBreaker(
        fail_max=1, state_storage=CircuitRedisStorage(CLOSED, client, "shop")
    )

    trip(breaker)

    names = ("fail_counter", "opened_at", "state")
    assert sorted(keys_of(client)) == [f"shop:aiobreaker:{name}" for name in names]


def test_values_that_are_there_already_stay(client: Any) -> None:
    first = CircuitBreaker(state_storage=CircuitRedisStorage(CLOSED, client))
    trip(first)

    second = CircuitBreaker(state_storage=CircuitRedisStorage(CLOSED, client))

    assert (second.current_state, second.fail_counter) == (OPEN, 5)


def test_the_opening_time_is_naive_whole_seconds_and_only_goes_forward(
    client: Any,
) -> None:
    storage = CircuitRedisStorage(CLOSED, client)
    noon = datetime(2030, 1, 2, 12, 0, 0, 900_000)  # noqa: DTZ001  naive by design
    seen: list[datetime | None] = [storage.opened_at]

    for change in (0, -1, 1):
        storage.opened_at = noon + timedelta(hours=change)
        seen.append(storage.opened_at)

    whole = noon.replace(microsecond=0)
    assert seen == [None, whole, whole, whole + timedelta(hours=1)]
    assert client.get("aiobreaker:opened_at") == b"1893589200"


@pytest.mark.parametrize("fallback", [CLOSED, OPEN])
def test_a_state_that_vanished_starts_again_as_the_fallback(
    client: Any, fallback: CircuitBreakerState
) -> None:
    storage = CircuitRedisStorage(HALF_OPEN, client, None, fallback)
    client.flushall()

    state = storage.state

    assert state is fallback
    assert keys_of(client)["aiobreaker:state"] == fallback.name


def test_calls_go_on_after_all_keys_vanished(client: Any) -> None:
    breaker = CircuitBreaker(state_storage=CircuitRedisStorage(CLOSED, client))
    trip(breaker)
    client.flushall()

    result = breaker.call(lambda: "served")

    assert (result, breaker.fail_counter, breaker.opens_at) == ("served", 0, None)


def test_a_client_that_decodes_responses_works_too(server: Server, client: Any) -> None:
    with server.client(decode_responses=True) as decoding:
        breaker = CircuitBreaker(state_storage=CircuitRedisStorage(CLOSED, decoding))
        trip(breaker)

    assert keys_of(client)["aiobreaker:state"] == "OPEN"


def test_a_server_that_died_gives_the_fallback_and_nothing_and_logs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running_server() as server:
        client = server.client(retry=Retry(NoBackoff(), 0))
        storage = CircuitRedisStorage(CLOSED, client, None, OPEN)
        server.kill()
        caplog.set_level(logging.ERROR, logger="aiobreaker")

        seen = storage.state, storage.counter, storage.opened_at
        storage.state = HALF_OPEN
        storage.opened_at = datetime.now(UTC)
        storage.increment_counter()
        storage.reset_counter()
        with pytest.raises(RedisError):
            CircuitRedisStorage(CLOSED, client)

    assert seen == (OPEN, 0, None)
    assert {record.name for record in caplog.records} == {"aiobreaker.storage.redis"}
    assert len(caplog.records) == 7
    assert all(record.exc_info for record in caplog.records)


def test_without_redis_it_is_an_import_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours.storage.redis, "HAS_REDIS_SUPPORT", False)
    expected = "CircuitRedisStorage can only be used if the required dependencies exist"

    with pytest.raises(ImportError) as raised:
        CircuitRedisStorage(CLOSED, None)

    assert str(raised.value) == expected


def test_an_imitation_of_redis_is_enough() -> None:
    imitation = fakeredis.FakeStrictRedis(server=fakeredis.FakeServer())
    storage = CircuitRedisStorage(CLOSED, imitation, "shop")
    breaker = CircuitBreaker(fail_max=2, state_storage=storage)

    trip(breaker)
    with pytest.raises(CircuitBreakerError, match="still open"):
        breaker.call(str)

    assert imitation.get("shop:aiobreaker:state") == b"OPEN"


def test_old_and_new_processes_share_one_circuit(server: Server, client: Any) -> None:
    storage = CircuitRedisStorage(CLOSED, client, "shop")
    breaker = CircuitBreaker(fail_max=3, state_storage=storage)

    with PeerProcess("aiobreaker", server.socket) as old:
        with pytest.raises(OSError, match="down"):
            breaker.call(fail)
        old_fails = old.ask("breaker.call(fail)")
        with pytest.raises(CircuitBreakerError, match="threshold"):
            breaker.call(fail)
        old_is_rejected = old.ask("breaker.call(succeed)")
        old_reopens = old.ask("breaker.half_open() or breaker.call(fail)")
        with pytest.raises(CircuitBreakerError, match="still open"):
            breaker.call(str)
        old.ask("breaker.half_open()")
        breaker.call(str)
        old_sees = old.ask("breaker.state.state.name, breaker.fail_counter")
        old.ask("breaker.open()")
        new_sees = breaker.state.state

    assert old_fails == "OSError: down"
    assert "Timeout not elapsed yet, circuit breaker still open" in old_is_rejected
    assert "Trial call failed, circuit breaker opened." in old_reopens
    assert old_sees == "('CLOSED', 0)"
    assert new_sees is OPEN


@settings(max_examples=100)
@given(options, st.lists(actions, max_size=12))
def test_on_redis_nobody_can_tell_it_from_the_original(
    server: Server, options: dict[str, Any], actions: list[tuple[Any, ...]]
) -> None:
    clock = WallClock()
    with server.client() as client, pytest.MonkeyPatch.context() as patch:
        client.flushall()
        for package in (genuine, ours):
            patch.setattr(package.circuitbreaker, "datetime", clock.datetime)
            patch.setattr(package.state, "datetime", clock.datetime)
        theirs, mine = (Run(p, options | {"storage": client}) for p in (genuine, ours))

        for action in actions:
            if action[0] == "wait":
                clock.advance(action[1])
            expected, actual = theirs.step(action), mine.step(action)

            assert actual == expected
        keys = keys_of(client)
        written = {
            package: {
                key.removeprefix(f"{package.__name__}:"): value
                for key, value in keys.items()
                if key.startswith(f"{package.__name__}:")
            }
            for package in (genuine, ours)
        }
        assert written[ours] == written[genuine]
        assert len(written[ours]) >= 2
