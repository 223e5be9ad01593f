"""The Redis storage, on a real server, beside the genuine one."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import fakeredis
import pybreaker as genuine
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from recloser.compat import pybreaker as ours
from recloser.compat.pybreaker import (
    CircuitBreaker,
    CircuitBreakerError,
    CircuitRedisStorage,
)
from tests.compat.pybreaker_clock import WallClock
from tests.compat.pybreaker_peer import PeerProcess
from tests.compat.pybreaker_run import Run, actions, options
from tests.compat.pybreaker_server import Server, running_server


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
    storage = CircuitRedisStorage("closed", client)

    assert storage.name == "redis"
    assert keys_of(client) == {
        "pybreaker:state": "closed",
        "pybreaker:fail_counter": "0",
        "pybreaker:success_counter": "0",
    }


def test_a_namespace_comes_before_the_keys(client: Any) -> None:
    breaker = CircuitBreaker(
        fail_max=1, state_storage=CircuitRedisStorage("closed", client, "shop")
    )

    trip(breaker)

    names = ("fail_counter", "opened_at", "state", "success_counter")
    assert sorted(keys_of(client)) == [f"shop:pybreaker:{name}" for name in names]


def test_values_that_are_there_already_stay(client: Any) -> None:
    first = CircuitBreaker(state_storage=CircuitRedisStorage("closed", client))
    trip(first)

    second = CircuitBreaker(state_storage=CircuitRedisStorage("closed", client))

    assert (second.current_state, second.fail_counter) == ("open", 5)


def test_after_a_failure_in_the_closed_state_there_are_three_keys(client: Any) -> None:
    breaker = CircuitBreaker(state_storage=CircuitRedisStorage("closed", client))

    with pytest.raises(OSError, match="down"):
        breaker.call(fail)

    assert len(keys_of(client)) == 3


@pytest.mark.parametrize("cluster_mode", [False, True])
def test_the_opening_time_is_whole_seconds_and_only_goes_forward(
    client: Any,
    cluster_mode: bool,  # noqa: FBT001
) -> None:
    storage = CircuitRedisStorage("closed", client, cluster_mode=cluster_mode)
    noon = datetime(2030, 1, 2, 12, 0, 0, 900_000, tzinfo=UTC)
    seen: list[datetime | None] = [storage.opened_at]

    for change in (0, -1, 1):
        storage.opened_at = noon + timedelta(hours=change)
        seen.append(storage.opened_at)

    whole = noon.replace(microsecond=0)
    assert seen == [None, whole, whole, whole + timedelta(hours=1)]
    assert client.get("pybreaker:opened_at") == b"1893589200"


def test_an_earlier_opening_time_does_not_overwrite_a_later_one_in_a_race(
    server: Server, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = CircuitRedisStorage("closed", client)
    now = datetime(2030, 1, 2, tzinfo=UTC)
    later = now + timedelta(hours=1)
    transaction, rivals = client.transaction, [later]

    def raced(write: Any, *keys: str) -> Any:
        def with_a_rival(pipe: Any) -> None:
            get = pipe.get

            def get_too_early(key: str) -> Any:
                seen = get(key)
                with server.client() as rival:
                    while rivals:
                        CircuitRedisStorage("closed", rival).opened_at = rivals.pop()
                return seen

            pipe.get = get_too_early
            write(pipe)
            pipe.get = get

        return transaction(with_a_rival, *keys)

    monkeypatch.setattr(client, "transaction", raced)
    storage.opened_at = now

    assert storage.opened_at == later


@pytest.mark.parametrize("fallback", ["closed", "open"])
def test_a_state_that_vanished_starts_again_as_the_fallback(
    client: Any, fallback: str
) -> None:
    storage = CircuitRedisStorage("half-open", client, None, fallback)
    client.flushall()

    state = storage.state

    assert state == fallback
    assert keys_of(client)["pybreaker:state"] == fallback
    assert len(keys_of(client)) == 3


def test_counters_and_time_that_vanished_are_nothing(client: Any) -> None:
    storage = CircuitRedisStorage("closed", client)
    client.flushall()

    counters = storage.counter, storage.success_counter
    opened_at = storage.opened_at

    assert (counters, opened_at) == ((0, 0), None)


def test_a_client_that_decodes_responses_works_too(server: Server, client: Any) -> None:
    with server.client(decode_responses=True) as decoding:
        breaker = CircuitBreaker(state_storage=CircuitRedisStorage("closed", decoding))
        trip(breaker)

    assert keys_of(client)["pybreaker:state"] == "open"


def test_a_server_that_died_gives_the_fallback_and_nothing_and_logs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running_server() as server:
        client = server.client(retry=Retry(NoBackoff(), 0))
        storage = CircuitRedisStorage("closed", client, None, "open")
        server.kill()
        caplog.set_level(logging.ERROR, logger="pybreaker")

        state = storage.state
        counters = storage.counter, storage.success_counter
        opened_at = storage.opened_at
        storage.state = "half-open"
        storage.opened_at = datetime.now(UTC)
        for method in ("increment", "reset", "increment_success", "reset_success"):
            getattr(storage, f"{method}_counter")()
        with pytest.raises(RedisError):
            CircuitRedisStorage("closed", client)

    assert (state, counters, opened_at) == ("open", (0, 0), None)
    assert {record.name for record in caplog.records} == {"pybreaker"}
    assert len(caplog.records) == 10
    assert all(record.exc_info for record in caplog.records)


def test_calls_go_on_while_the_server_is_dead() -> None:
    with running_server() as server:
        client = server.client(retry=Retry(NoBackoff(), 0))
        breaker = CircuitBreaker(state_storage=CircuitRedisStorage("closed", client))
        server.kill()

        trip(breaker)
        result = breaker.call(lambda: "served")

    assert result == "served"
    assert breaker.state.name == "closed"


def test_without_redis_it_is_an_import_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "HAS_REDIS_SUPPORT", False)
    expected = "CircuitRedisStorage can only be used if the required dependencies exist"

    with pytest.raises(ImportError) as raised:
        CircuitRedisStorage("closed", None)

    assert str(raised.value) == expected


def test_where_redis_is_not_installed_the_module_says_so() -> None:
    program = (
        "import sys; sys.modules['redis'] = None; "
        "from recloser.compat import pybreaker; print(pybreaker.HAS_REDIS_SUPPORT)"
    )

    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False, text=True
    )

    assert (run.stdout.strip(), run.stderr) == ("False", "")


def test_an_imitation_of_redis_is_enough() -> None:
    imitation = fakeredis.FakeStrictRedis(server=fakeredis.FakeServer())
    storage = CircuitRedisStorage("closed", imitation, "shop")
    breaker = CircuitBreaker(fail_max=2, state_storage=storage)

    trip(breaker)
    with pytest.raises(CircuitBreakerError, match="still open"):
        breaker.call(str)

    assert imitation.get("shop:pybreaker:state") == b"open"


def test_reads_go_through_get_with_the_key_alone(client: Any) -> None:
    storage = CircuitRedisStorage("closed", client, None, "open")

    with mock.patch.object(client, "get", side_effect=RedisError) as get:
        seen = storage.state, storage.counter

    assert seen == ("open", 0)
    assert get.mock_calls == [
        mock.call("pybreaker:state"),
        mock.call("pybreaker:fail_counter"),
    ]


def commands(client: Any) -> dict[str, int]:
    """Return how often each command was run, without those of this function."""
    stats = client.info("commandstats")
    counted = {
        name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()
    }
    return {name: n for name, n in counted.items() if name in {"get", "set", "incrby"}}


def test_a_call_costs_as_many_commands_as_with_the_original(client: Any) -> None:
    counted: dict[Any, list[dict[str, int]]] = {}

    for module in (genuine, ours):
        client.flushall()
        storage = module.CircuitRedisStorage("closed", client)
        breaker = module.CircuitBreaker(state_storage=storage)
        for act in (lambda b=breaker: b.call(str), lambda b=breaker: b.call(fail)):
            client.config_resetstat()
            with contextlib.suppress(OSError):
                act()
            counted.setdefault(module, []).append(commands(client))

    assert counted[ours] == counted[genuine]
    assert counted[ours] == [{"get": 1, "set": 1}, {"get": 2, "incrby": 1}]


def test_old_and_new_processes_share_one_circuit(server: Server, client: Any) -> None:
    storage = CircuitRedisStorage("closed", client, "shop")
    breaker = CircuitBreaker(fail_max=3, state_storage=storage)

    with PeerProcess("pybreaker", server.socket) as old:
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
        old_sees = old.ask("breaker.state.name, breaker.fail_counter")
        old.ask("breaker.open()")
        new_sees = breaker.state.name

    assert old_fails == "OSError: down"
    assert old_is_rejected.endswith(
        "Timeout not elapsed yet, circuit breaker still open"
    )
    assert old_reopens.endswith("Trial call failed, circuit breaker opened")
    assert old_sees == "('closed', 0)"
    assert new_sees == "open"


@settings(max_examples=100)
@given(options, st.lists(actions, max_size=12))
def test_on_redis_nobody_can_tell_it_from_the_original(
    server: Server, options: dict[str, Any], actions: list[tuple[Any, ...]]
) -> None:
    clock = WallClock()
    with server.client() as client, pytest.MonkeyPatch.context() as patch:
        client.flushall()
        for module in (genuine, ours):
            patch.setattr(module, "datetime", clock.datetime)
        theirs, mine = (Run(m, options | {"storage": client}) for m in (genuine, ours))

        for action in actions:
            if action[0] == "wait":
                clock.advance(action[1])
            expected, actual = theirs.step(action), mine.step(action)

            assert actual == expected
        keys = keys_of(client)
        written = {
            module: {
                key.removeprefix(f"{module.__name__}:"): value
                for key, value in keys.items()
                if key.startswith(f"{module.__name__}:")
            }
            for module in (genuine, ours)
        }
        assert written[ours] == written[genuine]
        assert len(written[ours]) >= 3
