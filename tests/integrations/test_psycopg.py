"""psycopg against a real PostgreSQL that is killed, restarted and overloaded."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool, PoolTimeout

from recloser import CircuitBreaker, CircuitOpenError, State, Wait
from recloser.integrations import psycopg as ours
from recloser.testing import FakeClock
from tests.integrations.postgres import Postgres, cluster


@pytest.fixture(scope="module")
def running() -> Iterator[Postgres]:
    with cluster() as server:
        yield server


@pytest.fixture
def postgres(running: Postgres) -> Postgres:
    running.start()
    return running


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def orders(clock: FakeClock) -> CircuitBreaker:
    return CircuitBreaker("orders", trip=2, recovery=Wait(10, jitter=0), clock=clock)


@pytest.fixture
def guarded(orders: CircuitBreaker) -> type[psycopg.Connection[Any]]:
    return ours.guard(psycopg.Connection[Any], orders)


@pytest.fixture
def connection(
    guarded: type[psycopg.Connection[Any]], postgres: Postgres
) -> Iterator[psycopg.Connection[Any]]:
    with guarded.connect(postgres.conninfo, autocommit=True) as made:
        yield made


def outcomes(breaker: CircuitBreaker) -> tuple[int, int, int]:
    totals = breaker.snapshot().totals
    return totals.successes, totals.failures, totals.neutral


# -- sync ----------------------------------------------------------------------------


def test_connecting_and_statements_are_calls(
    connection: psycopg.Connection[Any], orders: CircuitBreaker
):
    with connection.cursor() as cursor:
        cursor.execute("create temporary table numbers (n int primary key)")
        cursor.executemany("insert into numbers values (%s)", [(1,), (2,)])
        with cursor.copy("copy numbers from stdin") as copy:
            copy.write_row([3])
        rows = list(cursor.stream("select n from numbers order by n"))
    with connection.transaction(), connection.cursor("server") as cursor:
        cursor.execute("select n from numbers order by n")
        fetched = [cursor.fetchone(), *cursor.fetchmany(1), *cursor]

    assert rows == fetched == [(1,), (2,), (3,)]
    assert outcomes(orders) == (9, 0, 0)


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("selec 1", psycopg.errors.SyntaxError),
        ("select 1/0", psycopg.errors.DivisionByZero),
        ("select * from nothing", psycopg.errors.UndefinedTable),
        ("set role nobody_at_all", psycopg.Error),
        (
            "do $$ begin raise unique_violation; end $$",
            psycopg.errors.UniqueViolation,
        ),
    ],
)
def test_answers_that_refuse_are_successes(
    connection: psycopg.Connection[Any],
    orders: CircuitBreaker,
    statement: str,
    error: type[Exception],
):
    with pytest.raises(error):
        connection.execute(statement)  # type: ignore[arg-type]

    assert outcomes(orders) == (2, 0, 0)


def test_a_statement_timeout_counts(
    connection: psycopg.Connection[Any], orders: CircuitBreaker
):
    connection.execute("set statement_timeout = 10")

    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute("select pg_sleep(30)")

    assert outcomes(orders) == (2, 1, 0)


def test_a_statement_that_a_person_cancels_is_neutral(
    connection: psycopg.Connection[Any], orders: CircuitBreaker
):
    pid = connection.info.backend_pid

    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute("select pg_cancel_backend(%s), pg_sleep(30)", [pid])

    assert outcomes(orders) == (1, 0, 1)


def test_a_backend_that_is_terminated_counts(
    connection: psycopg.Connection[Any], orders: CircuitBreaker
):
    pid = connection.info.backend_pid

    with pytest.raises(psycopg.OperationalError):
        connection.execute("select pg_terminate_backend(%s), pg_sleep(30)", [pid])

    assert outcomes(orders) == (1, 1, 0)


def test_a_closed_connection_and_misuse_are_neutral(
    connection: psycopg.Connection[Any], orders: CircuitBreaker
):
    cursor = connection.cursor()
    with pytest.raises(psycopg.ProgrammingError):
        cursor.execute("select %s, %s", [1])
    connection.close()
    with pytest.raises(psycopg.Error, match="closed"):
        cursor.execute("select 1")

    assert outcomes(orders) == (1, 0, 2)


def test_a_killed_server_trips_and_calls_are_rejected_as_psycopgs_own_error(
    connection: psycopg.Connection[Any],
    guarded: type[psycopg.Connection[Any]],
    postgres: Postgres,
    orders: CircuitBreaker,
):
    postgres.kill()

    with pytest.raises(psycopg.OperationalError):
        connection.execute("select 1")
    with pytest.raises(psycopg.OperationalError):
        guarded.connect(postgres.conninfo)
    with pytest.raises(psycopg.OperationalError) as caught:
        guarded.connect(postgres.conninfo)

    rejection = caught.value
    assert isinstance(rejection, CircuitOpenError)
    assert (rejection.retry_after, rejection.sqlstate) == (10.0, None)
    assert outcomes(orders) == (1, 2, 0)


def test_a_server_that_comes_back_closes_the_circuit(
    guarded: type[psycopg.Connection[Any]],
    postgres: Postgres,
    orders: CircuitBreaker,
    clock: FakeClock,
):
    postgres.kill()
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError):
            guarded.connect(postgres.conninfo)
    tripped = orders.state
    postgres.start()
    clock.advance(10)

    guarded.connect(postgres.conninfo).close()

    assert (tripped, orders.state) == (State.OPEN, State.CLOSED)


def test_a_stream_that_breaks_is_a_failure_and_one_that_is_left_a_success(
    connection: psycopg.Connection[Any], postgres: Postgres, orders: CircuitBreaker
):
    many = "select repeat('x', 1000) from generate_series(1, 1000000)"
    left = connection.cursor().stream(many)
    next(left)
    left.close()
    before = outcomes(orders)

    broken = connection.cursor().stream(many)
    next(broken)
    postgres.kill()
    with pytest.raises(psycopg.Error):
        list(broken)

    assert before == (2, 0, 0)
    assert outcomes(orders) == (2, 1, 0)


def test_commits_and_rollbacks_pass_an_open_circuit(
    guarded: type[psycopg.Connection[Any]], postgres: Postgres, orders: CircuitBreaker
):
    with guarded.connect(postgres.conninfo) as connection:
        connection.execute("create table if not exists kept (n int)")
        orders.force_open()
        connection.commit()

        with pytest.raises(CircuitOpenError), connection.transaction():
            connection.execute("insert into kept values (1)")
        orders.reset()

        assert connection.execute("select count(*) from kept").fetchone() == (0,)


def test_an_error_of_ones_own_inside_a_copy_is_neutral(
    connection: psycopg.Connection[Any], orders: CircuitBreaker
):
    connection.execute("create temporary table numbers (n int)")

    with (
        pytest.raises(KeyError),
        connection.cursor().copy("copy numbers from stdin"),
    ):
        raise KeyError

    assert outcomes(orders) == (2, 0, 1)


def test_a_pool_of_guarded_connections(
    guarded: type[psycopg.Connection[Any]], postgres: Postgres, orders: CircuitBreaker
):
    with (
        ConnectionPool(
            postgres.conninfo,
            connection_class=guarded,
            min_size=1,
            max_size=1,
            open=True,
        ) as pool,
        pool.connection() as connection,
    ):
        connection.execute("select 1")
        with (
            pytest.raises(PoolTimeout) as caught,
            orders(ignore=ours.ignore).acquire(),
            pool.connection(timeout=0.01),
        ):
            raise AssertionError

    assert ours.ignore(caught.value)
    assert outcomes(orders) == (2, 0, 1)


def test_a_cursor_class_of_ones_own_is_guarded(
    guarded: type[psycopg.Connection[Any]], postgres: Postgres, orders: CircuitBreaker
):
    with guarded.connect(
        postgres.conninfo, cursor_factory=psycopg.ClientCursor
    ) as connection:
        with connection.cursor() as cursor:
            mine = isinstance(cursor, psycopg.ClientCursor)
        orders.force_open()
        with pytest.raises(CircuitOpenError):
            connection.execute("select 1")

    assert mine


def test_the_lists_serve_a_breaker_without_the_guard(postgres: Postgres):
    orders = CircuitBreaker(
        "orders",
        failures=ours.failures,
        successes=ours.successes,
        ignore=ours.ignore,
    )
    with psycopg.connect(postgres.conninfo) as connection:
        with pytest.raises(psycopg.Error):
            orders.call(connection.execute, "selec 1")
        with pytest.raises(psycopg.Error):
            orders.call(psycopg.connect, "host=127.0.0.1 port=1")
        with pytest.raises(KeyError):
            orders.call({}.pop, "key")

    assert outcomes(orders) == (1, 1, 1)


def test_a_rejection_survives_pickling():
    rejection = ours.PsycopgCircuitOpenError("orders", State.OPEN, 2.5, "why", None)

    copy = pickle.loads(pickle.dumps(rejection))  # noqa: S301 - our own

    assert type(copy) is ours.PsycopgCircuitOpenError
    assert (copy.args, str(copy)) == (rejection.args, str(rejection))
    assert copy.diag.sqlstate is None


# -- asyncio -------------------------------------------------------------------------


def test_async_connections_are_judged_like_sync_ones(
    postgres: Postgres, orders: CircuitBreaker
):
    guarded = ours.guard(psycopg.AsyncConnection[Any], orders)

    async def main() -> None:
        async with await guarded.connect(postgres.conninfo) as connection:
            cursor = connection.cursor()
            await cursor.execute("create temporary table numbers (n int unique)")
            await cursor.executemany("insert into numbers values (%s)", [(1,)])
            async with cursor.copy("copy numbers from stdin") as copy:
                await copy.write_row([2])
            rows = [row async for row in cursor.stream("select n from numbers")]
            async with connection.cursor("server") as server:
                await server.execute("select n from numbers")
                fetched = [await server.fetchone(), *[row async for row in server]]
            assert rows == fetched == [(1,), (2,)]
            with pytest.raises(psycopg.errors.UniqueViolation):
                await connection.execute("insert into numbers values (1)")
            assert outcomes(orders) == (9, 0, 0)
            postgres.kill()
            with pytest.raises(psycopg.OperationalError):
                await connection.execute("select 1")
        with pytest.raises(psycopg.OperationalError):
            await guarded.connect(postgres.conninfo)
        with pytest.raises(psycopg.OperationalError) as caught:
            await guarded.connect(postgres.conninfo)
        assert isinstance(caught.value, CircuitOpenError)

    asyncio.run(main())

    assert outcomes(orders) == (9, 2, 0)


def test_a_cancelled_statement_is_neutral(postgres: Postgres, orders: CircuitBreaker):
    guarded = ours.guard(psycopg.AsyncConnection[Any], orders)

    async def main() -> None:
        async with await guarded.connect(postgres.conninfo) as connection:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await connection.execute("select pg_sleep(30)")

    asyncio.run(main())

    totals = orders.snapshot().totals
    assert (totals.failures, totals.cancelled) == (0, 1)
