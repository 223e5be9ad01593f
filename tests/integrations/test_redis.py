"""redis-py against a real Valkey that is killed, comes back and refuses."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from recloser import CircuitBreaker, CircuitOpenError, State, Wait
from recloser.integrations import redis as ours
from recloser.testing import FakeClock
from tests.compat.pybreaker_server import Server, running_server

# redis-py 5.0 forgets sockets that could not connect.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture
def valkey() -> Iterator[Server]:
    with running_server() as running:
        yield running


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cache(clock: FakeClock) -> CircuitBreaker:
    return CircuitBreaker("cache", trip=2, recovery=Wait(10, jitter=0), clock=clock)


@pytest.fixture
def client(valkey: Server, cache: CircuitBreaker) -> Iterator[redis.Redis]:
    retry = Retry(NoBackoff(), 1)  # its own retries are inside one call
    with valkey.client(retry=retry) as made:
        yield ours.guard(made, cache)


def outcomes(breaker: CircuitBreaker) -> tuple[int, int, int]:
    totals = breaker.snapshot().totals
    return totals.successes, totals.failures, totals.neutral


def fail(client: redis.Redis, times: int = 2) -> None:
    for _ in range(times):
        with pytest.raises(redis.ConnectionError):
            client.get("key")


# -- sync ----------------------------------------------------------------------------


def test_commands_go_through_and_count(client: redis.Redis, cache: CircuitBreaker):
    client.set("key", "value")

    assert client.get("key") == b"value"
    assert outcomes(cache) == (2, 0, 0)


def test_a_dead_server_trips_and_calls_are_rejected_as_the_clients_own_error(
    client: redis.Redis, cache: CircuitBreaker, valkey: Server
):
    client.get("key")
    valkey.kill()
    fail(client)

    with pytest.raises(redis.ConnectionError) as caught:
        client.get("key")

    rejection = caught.value
    assert isinstance(rejection, CircuitOpenError)
    assert (rejection.name, rejection.retry_after) == ("cache", 10.0)
    assert outcomes(cache) == (1, 2, 0)
    assert cache.snapshot().rejected == 1  # redis-py did not retry it


def test_a_server_that_comes_back_closes_the_circuit(
    client: redis.Redis, cache: CircuitBreaker, valkey: Server, clock: FakeClock
):
    valkey.kill()
    fail(client)
    clock.advance(10)
    again = Server(valkey.socket.removesuffix("/socket"))

    try:
        assert client.get("key") is None
        assert cache.state is State.CLOSED
    finally:
        client.close()
        again.kill()


def test_answers_that_refuse_are_successes(client: redis.Redis, cache: CircuitBreaker):
    client.set("key", "value")

    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        client.lpush("key", 1)
    with pytest.raises(redis.ResponseError, match="unknown command"):
        client.execute_command("NONSENSE")
    with pytest.raises(redis.exceptions.NoScriptError):
        client.evalsha("0" * 40, 0)
    with pytest.raises(redis.AuthenticationError):
        client.auth("wrong", "wrong")

    assert outcomes(cache) == (5, 0, 0)


def test_a_server_that_is_full_counts(client: redis.Redis, cache: CircuitBreaker):
    client.config_set("maxmemory", "1")

    for _ in range(2):
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            client.set("key", "value")

    assert cache.state is State.OPEN


def test_a_replica_that_may_not_write_counts(
    client: redis.Redis, cache: CircuitBreaker, valkey: Server
):
    client.execute_command("REPLICAOF", "127.0.0.1", "1")

    with pytest.raises(redis.ResponseError, match=r"can't write|READONLY"):
        client.set("key", "value")

    assert outcomes(cache) == (1, 1, 0)


def test_a_pipeline_is_one_call(client: redis.Redis, cache: CircuitBreaker):
    with client.pipeline() as pipeline:
        results = pipeline.set("key", 1).incr("key").execute()

    assert results == [True, 2]
    assert outcomes(cache) == (1, 0, 0)


def test_an_empty_pipeline_asks_nobody(client: redis.Redis, cache: CircuitBreaker):
    cache.force_open()

    assert client.pipeline().execute() == []
    assert cache.snapshot().rejected == 0


@pytest.mark.parametrize("raising", [True, False])
def test_a_pipeline_that_the_server_could_not_serve_is_a_failure(
    client: redis.Redis,
    cache: CircuitBreaker,
    raising: bool,  # noqa: FBT001
):
    client.config_set("maxmemory", "1")
    pipeline = client.pipeline(transaction=False).set("key", "value")

    with suppress(redis.ResponseError):
        pipeline.execute(raise_on_error=raising)

    assert outcomes(cache) == (1, 1, 0)


def test_a_pipeline_with_a_refused_command_is_a_success(
    client: redis.Redis, cache: CircuitBreaker
):
    pipeline = client.pipeline().set("key", "value").lpush("key", 1)

    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        pipeline.execute()

    assert outcomes(cache) == (1, 0, 0)


def test_watching_transactions_locks_and_scripts_are_guarded(
    client: redis.Redis, cache: CircuitBreaker
):
    client.transaction(lambda pipe: pipe.set("key", pipe.get("other") or b"1"), "other")
    with client.lock("lock"):
        client.register_script("return 1")()
    counted = outcomes(cache)
    cache.force_open()

    with pytest.raises(CircuitOpenError):
        client.transaction(lambda pipe: pipe.multi(), "other")
    with pytest.raises(CircuitOpenError):
        client.lock("lock").acquire()

    assert counted[0] >= 5
    assert counted[1:] == (0, 0)


def test_a_changed_key_that_was_watched_is_a_success(
    client: redis.Redis, cache: CircuitBreaker, valkey: Server
):
    with client.pipeline() as pipeline, valkey.client() as rival:
        pipeline.watch("key")
        pipeline.multi()
        rival.set("key", "theirs")
        pipeline.set("key", "ours")

        with pytest.raises(redis.WatchError):
            pipeline.execute()

    assert outcomes(cache) == (2, 0, 0)


def test_clients_made_from_a_guarded_one_are_guarded(
    client: redis.Redis, cache: CircuitBreaker
):
    cache.force_open()

    with client.client() as single, pytest.raises(CircuitOpenError):
        single.get("key")


@pytest.mark.parametrize(
    "kind", [redis.ConnectionPool, redis.BlockingConnectionPool], ids=["pool", "queue"]
)
def test_an_exhausted_pool_is_neutral(valkey: Server, cache: CircuitBreaker, kind: Any):
    options: dict[str, Any] = {"timeout": 0.01} if "Block" in kind.__name__ else {}
    pool = kind(
        connection_class=redis.UnixDomainSocketConnection,
        path=valkey.socket,
        max_connections=1,
        **options,
    )
    client = ours.guard(redis.Redis(connection_pool=pool), cache)
    taken = client.pubsub()
    taken.subscribe("news")

    with pytest.raises(redis.ConnectionError) as caught:
        client.get("key")

    assert ours.ignore(caught.value)
    assert outcomes(cache) == (0, 0, 1)
    taken.close()
    pool.disconnect()


def test_a_command_that_cannot_be_sent_is_neutral(
    client: redis.Redis, cache: CircuitBreaker
):
    with pytest.raises(redis.DataError):
        client.set("key", object())  # type: ignore[arg-type]

    assert outcomes(cache) == (0, 0, 1)


def test_a_guard_brings_lists_of_its_own(valkey: Server, cache: CircuitBreaker):
    strict = cache(failures=(redis.ResponseError,))
    client = ours.guard(valkey.client(), strict)
    client.set("key", "value")

    with client, pytest.raises(redis.ResponseError):
        client.lpush("key", 1)

    assert outcomes(cache) == (1, 1, 0)


def test_a_client_is_guarded_once(client: redis.Redis, cache: CircuitBreaker):
    with pytest.raises(TypeError, match="already guarded"):
        ours.guard(client, cache)


def test_the_lists_serve_a_breaker_without_the_guard(valkey: Server):
    cache = CircuitBreaker(
        "cache",
        trip=2,
        failures=ours.failures,
        successes=ours.successes,
        ignore=ours.ignore,
    )
    with valkey.client(retry=Retry(NoBackoff(), 0)) as client:
        client.set("key", "value")
        with pytest.raises(redis.ResponseError):
            cache.call(client.lpush, "key", 1)
        valkey.kill()
        with pytest.raises(redis.ConnectionError):
            cache.call(client.get, "key")
        with pytest.raises(KeyError):
            cache.call({}.pop, "key")

    assert outcomes(cache) == (1, 1, 1)


def test_a_rejection_survives_pickling(client: redis.Redis, cache: CircuitBreaker):
    cache.trip()

    with pytest.raises(ours.RedisCircuitOpenError) as caught:
        client.get("key")
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own

    assert type(copy) is ours.RedisCircuitOpenError
    assert (copy.args, str(copy)) == (caught.value.args, str(caught.value))
    assert copy.__dict__ == caught.value.__dict__


# -- asyncio -------------------------------------------------------------------------


def test_async_commands_and_pipelines_are_judged_like_sync_ones(
    valkey: Server, cache: CircuitBreaker
):
    async def main() -> None:
        retry = AsyncRetry(NoBackoff(), 1)
        raw = AsyncRedis(unix_socket_path=valkey.socket, retry=retry)
        async with ours.guard(raw, cache) as client:
            await client.set("key", "value")
            with pytest.raises(redis.ResponseError):
                await client.lpush("key", 1)
            async with client.pipeline() as pipeline:
                await pipeline.get("key").get("key").execute()
            assert outcomes(cache) == (3, 0, 0)
            valkey.kill()
            with pytest.raises(redis.ConnectionError):
                await client.get("key")
            with pytest.raises(redis.ConnectionError):
                await client.pipeline().get("key").execute()
            with pytest.raises(redis.ConnectionError) as caught:
                await client.pipeline().get("key").execute()
            assert isinstance(caught.value, CircuitOpenError)

    asyncio.run(main())

    assert outcomes(cache) == (3, 2, 0)


def test_a_cancelled_command_is_neutral(valkey: Server, cache: CircuitBreaker):
    async def main() -> None:
        raw = AsyncRedis(unix_socket_path=valkey.socket)
        onlooker = AsyncRedis(unix_socket_path=valkey.socket)
        async with onlooker, ours.guard(raw, cache) as client:
            waiting = asyncio.create_task(client.blpop(["queue"]))
            while not any(
                each["cmd"] == "blpop" for each in await onlooker.client_list()
            ):
                pass
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(main())

    totals = cache.snapshot().totals
    assert (totals.failures, totals.cancelled) == (0, 1)
