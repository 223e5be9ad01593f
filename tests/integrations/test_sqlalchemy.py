"""SQLAlchemy on a real PostgreSQL that is killed and restarted, and on SQLite."""

from __future__ import annotations

import asyncio
import gc
import pickle
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, exc, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session

from recloser import CircuitBreaker, CircuitOpenError, State, Wait
from recloser.integrations import sqlalchemy as ours
from recloser.testing import FakeClock
from tests.integrations.postgres import Postgres, cluster

ONE = text("select 1")


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
def engine(postgres: Postgres, orders: CircuitBreaker) -> Iterator[Engine]:
    plain = create_engine(f"postgresql+psycopg://{postgres.address}")
    yield ours.guard(plain, orders)
    plain.dispose()


@pytest.fixture
def lite(orders: CircuitBreaker) -> Iterator[Engine]:
    plain = create_engine("sqlite://")
    with plain.connect():
        pass  # what the dialect asks at first is no part of these tests
    yield ours.guard(plain, orders)
    plain.dispose()


def outcomes(breaker: CircuitBreaker) -> tuple[int, int, int]:
    totals = breaker.snapshot().totals
    return totals.successes, totals.failures, totals.neutral


def ask(engine: Engine) -> Any:
    with engine.connect() as connection:
        return connection.execute(ONE).scalar()


def gone(engine: Engine, connection: Any) -> None:
    """Let the server end this connection."""
    pid = connection.connection.dbapi_connection.info.backend_pid
    other = create_engine(engine.url)
    with other.connect() as rival:
        rival.execute(text("select pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    other.dispose()


# -- PostgreSQL ----------------------------------------------------------------------


def test_connections_and_statements_are_calls(engine: Engine, orders: CircuitBreaker):
    ask(engine)
    before = outcomes(orders)

    assert ask(engine) == 1
    after = outcomes(orders)
    assert (after[0] - before[0], *after[1:]) == (1, 0, 0)  # from the pool: no connect


def test_a_killed_server_trips_and_a_restarted_one_closes(
    engine: Engine, postgres: Postgres, orders: CircuitBreaker, clock: FakeClock
):
    ask(engine)
    before = outcomes(orders)[0]
    postgres.kill()
    for _ in range(2):
        with pytest.raises(exc.OperationalError):
            ask(engine)
    with pytest.raises(exc.OperationalError) as caught:
        ask(engine)
    tripped = outcomes(orders)
    postgres.start()
    clock.advance(10)

    assert ask(engine) == 1
    assert isinstance(caught.value, CircuitOpenError)
    assert isinstance(caught.value.orig, CircuitOpenError)
    assert (caught.value.retry_after, caught.value.connection_invalidated) == (
        10,
        False,
    )
    assert tripped == (before, 2, 0)
    assert orders.state is State.CLOSED


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("selec 1", exc.ProgrammingError),
        ("select * from nothing", exc.ProgrammingError),
        ("select 1/0", exc.DataError),
        ("do $$ begin raise unique_violation; end $$", exc.IntegrityError),
        ("do $$ begin raise deadlock_detected; end $$", exc.OperationalError),
        ("do $$ begin raise lock_not_available; end $$", exc.OperationalError),
    ],
)
def test_answers_that_refuse_are_successes(
    engine: Engine, orders: CircuitBreaker, statement: str, error: type[Exception]
):
    with engine.connect() as connection:
        before = outcomes(orders)[0]
        with pytest.raises(error) as caught:
            connection.execute(text(statement))

    assert ours.successes(caught.value)
    assert outcomes(orders) == (before + 1, 0, 0)


@pytest.mark.parametrize(
    "code",
    ["too_many_connections", "disk_full", "cannot_connect_now", "internal_error"],
)
def test_troubles_of_the_server_count(
    engine: Engine, orders: CircuitBreaker, code: str
):
    with engine.connect() as connection:
        with pytest.raises(exc.DBAPIError) as caught:
            connection.execute(text(f"do $$ begin raise {code}; end $$"))

        assert ours.failures(caught.value)
        assert outcomes(orders)[1] == 1


def test_a_statement_timeout_counts(engine: Engine, orders: CircuitBreaker):
    with engine.connect() as connection:
        connection.execute(text("set statement_timeout = 10"))
        with pytest.raises(exc.OperationalError):
            connection.execute(text("select pg_sleep(30)"))

    assert outcomes(orders)[1] == 1


def test_a_connection_that_is_gone_counts_once(engine: Engine, orders: CircuitBreaker):
    with suppress(exc.PendingRollbackError), engine.connect() as connection:
        connection.execute(ONE)
        gone(engine, connection)
        with pytest.raises(exc.OperationalError) as caught:
            connection.execute(ONE)

    assert caught.value.connection_invalidated
    assert outcomes(orders)[1] == 1


def test_a_connection_that_is_gone_at_the_commit_counts(
    engine: Engine, orders: CircuitBreaker
):
    with suppress(exc.PendingRollbackError), engine.connect() as connection:
        connection.execute(ONE)
        gone(engine, connection)
        with pytest.raises(exc.OperationalError):
            connection.commit()

    assert outcomes(orders)[1] == 1


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # a broken cursor is dropped
def test_a_connection_that_is_gone_while_rows_are_read_counts(
    engine: Engine, orders: CircuitBreaker
):
    many = text("select repeat('x', 1000) from generate_series(1, 1000000)")
    with suppress(exc.DBAPIError), engine.connect() as connection:
        rows = connection.execution_options(yield_per=10).execute(many)
        next(rows)
        gone(engine, connection)
        with pytest.raises(exc.DBAPIError):
            rows.all()
    del rows, connection
    gc.collect()

    assert outcomes(orders)[1] == 1


def test_commits_and_rollbacks_pass_an_open_circuit(
    engine: Engine, orders: CircuitBreaker
):
    with engine.connect() as connection:
        connection.execute(text("create table if not exists kept (n int)"))
        orders.force_open()
        connection.commit()
        with pytest.raises(CircuitOpenError):
            connection.execute(text("insert into kept values (1)"))
        connection.rollback()
        orders.reset()

        assert connection.execute(text("select count(*) from kept")).scalar() == 0


def test_an_exhausted_pool_is_neutral(postgres: Postgres, orders: CircuitBreaker):
    url = f"postgresql+psycopg://{postgres.address}"
    small = create_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.01)
    engine = ours.guard(small, orders)

    with engine.connect(), pytest.raises(exc.TimeoutError) as caught:
        ask(engine)

    assert ours.ignore(caught.value)
    assert outcomes(orders)[1:] == (0, 0)
    engine.dispose()


def test_a_database_that_does_not_exist_counts(
    postgres: Postgres, orders: CircuitBreaker
):
    url = f"postgresql+psycopg://{postgres.address}".replace("/postgres", "/nowhere")
    engine = ours.guard(create_engine(url), orders)

    with pytest.raises(exc.OperationalError):
        ask(engine)

    assert outcomes(orders) == (0, 1, 0)


def test_async_engines_are_judged_like_sync_ones(
    postgres: Postgres, orders: CircuitBreaker
):
    plain = create_async_engine(f"postgresql+psycopg://{postgres.address}")
    engine = ours.guard(plain, orders)

    async def main() -> tuple[int, int, int]:
        async with engine.connect() as connection:
            assert await connection.scalar(ONE) == 1
            with pytest.raises(exc.ProgrammingError):
                await connection.execute(text("selec 1"))
        before = outcomes(orders)
        postgres.kill()
        for _ in range(2):
            with pytest.raises(exc.OperationalError):
                async with engine.connect() as connection:
                    await connection.execute(ONE)
        with pytest.raises(exc.OperationalError) as caught:
            async with engine.connect() as connection:
                await connection.execute(ONE)
        assert isinstance(caught.value, CircuitOpenError)
        await engine.dispose()
        return before

    before = asyncio.run(main())

    assert before[1:] == (0, 0)
    assert outcomes(orders) == (before[0], 2, 0)


def test_a_cancelled_statement_is_neutral(postgres: Postgres, orders: CircuitBreaker):
    plain = create_async_engine(f"postgresql+psycopg://{postgres.address}")
    engine = ours.guard(plain, orders)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with engine.connect() as connection, asyncio.timeout(0.1):
                await connection.execute(text("select pg_sleep(30)"))
        await engine.dispose()

    asyncio.run(main())

    totals = orders.snapshot().totals
    assert (totals.failures, totals.cancelled) == (0, 1)


# -- SQLite --------------------------------------------------------------------------


def test_sessions_are_guarded(lite: Engine, orders: CircuitBreaker):
    with Session(lite) as session:
        session.execute(text("create table numbers (n int unique)"))
        many = text("insert into numbers values (:n)")
        session.execute(many, [{"n": 1}, {"n": 2}])
        with pytest.raises(exc.IntegrityError):
            session.execute(many, {"n": 1})
    orders.force_open()

    with pytest.raises(CircuitOpenError), Session(lite) as session:
        session.execute(ONE)
    assert outcomes(orders) == (3, 0, 0)


@pytest.mark.parametrize("statement", ["selec 1", "select * from nothing"])
def test_sqlites_operational_errors_about_a_statement_are_answers(
    lite: Engine, orders: CircuitBreaker, statement: str
):
    with lite.connect() as connection, pytest.raises(exc.OperationalError):
        connection.execute(text(statement))

    assert outcomes(orders) == (1, 0, 0)


def test_a_locked_sqlite_counts(tmp_path: Path, orders: CircuitBreaker):
    url = f"sqlite:///{tmp_path}/orders.db"
    holder = create_engine(url)
    engine = ours.guard(create_engine(url, connect_args={"timeout": 0}), orders)

    with holder.connect() as held, engine.connect() as connection:
        held.exec_driver_sql("begin exclusive")
        with pytest.raises(exc.OperationalError, match="locked"):
            connection.exec_driver_sql("create table numbers (n int)")

    assert outcomes(orders)[1] == 1
    holder.dispose()
    engine.dispose()


def test_a_sqlite_that_cannot_be_opened_counts(tmp_path: Path, orders: CircuitBreaker):
    engine = ours.guard(create_engine(f"sqlite:///{tmp_path}/no/orders.db"), orders)

    with pytest.raises(exc.OperationalError):
        ask(engine)

    assert outcomes(orders) == (0, 1, 0)


def test_mistakes_that_never_reach_the_database_are_no_calls(
    lite: Engine, orders: CircuitBreaker
):
    with lite.connect() as connection, pytest.raises(exc.StatementError) as caught:
        connection.execute(text("select :n"))

    assert ours.ignore(caught.value)
    assert outcomes(orders) == (0, 0, 0)


def test_aiosqlite_is_judged_by_its_codes_too(orders: CircuitBreaker):
    engine = ours.guard(create_async_engine("sqlite+aiosqlite://"), orders)

    async def main() -> None:
        async with engine.connect() as connection:
            with pytest.raises(exc.OperationalError):
                await connection.execute(text("selec 1"))
        await engine.dispose()

    asyncio.run(main())

    assert outcomes(orders)[1:] == (0, 0)


def test_other_listeners_run_inside_whenever_they_were_added(tmp_path: Path):
    orders = CircuitBreaker("orders")
    engine = create_engine(f"sqlite:///{tmp_path}/wrong/orders.db")
    seen: list[Any] = []

    def before(dialect: Any, record: Any, args: list[Any], options: Any) -> None:
        seen.append(orders.snapshot().totals.calls)

    def after(dialect: Any, record: Any, args: list[Any], options: Any) -> None:
        args[:] = [f"{tmp_path}/orders.db"]  # as those do that bring a fresh password

    def answer(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        seen.append(statement)
        cursor.execute("select 2")
        return True

    event.listen(engine, "do_connect", before)
    ours.guard(engine, orders)
    event.listen(engine, "do_connect", after)
    with engine.connect() as connection:
        event.listen(engine, "do_execute", answer)

        assert connection.execute(ONE).scalar() == 2
    assert seen == [0, "select 1"]
    engine.dispose()


def test_a_guard_brings_lists_of_its_own(orders: CircuitBreaker):
    strict = orders(failures=(exc.OperationalError,))
    engine = ours.guard(create_engine("sqlite://"), strict)

    with engine.connect() as connection, pytest.raises(exc.OperationalError):
        connection.execute(text("selec 1"))

    assert outcomes(orders)[1] == 1
    engine.dispose()


def test_an_engine_is_guarded_once(lite: Engine, orders: CircuitBreaker):
    with pytest.raises(TypeError, match="already guarded"):
        ours.guard(lite, orders)


def test_what_is_remembered_holds_no_values(lite: Engine, orders: CircuitBreaker):
    lite.dispose()
    strict = CircuitBreaker("strict", trip=1)
    other = create_engine("sqlite://")
    ours.guard(other, strict(failures=(exc.DBAPIError,)))

    with other.connect() as connection, pytest.raises(exc.OperationalError):
        connection.execute(text("selec :secret"), {"secret": "12345"})

    failure = strict.snapshot().last_failure
    assert failure is not None
    assert (failure.type, "12345" in failure.message) == ("OperationalError", False)
    other.dispose()


# -- the lists -----------------------------------------------------------------------


class OperationalError(Exception):
    """What a driver without codes raises, named as the DBAPI says."""


class ProgrammingError(Exception):
    """Another."""


class InterfaceError(Exception):
    """Another."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OperationalError(2003, "Can't connect to MySQL server"), True),
        (OperationalError(2013, "Lost connection during query"), True),
        (OperationalError(1213, "Deadlock found"), False),
        (OperationalError(1045, "Access denied"), False),
        (OperationalError("anything else"), True),
        (OperationalError(), True),
        (ProgrammingError(1064, "You have an error in your SQL syntax"), False),
        (InterfaceError("the cursor is closed"), None),
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (exc.TimeoutError(), None),
        (exc.InvalidRequestError(), None),
        (KeyError(), None),
    ],
)
def test_errors_without_a_code_are_judged_by_their_class(
    error: Exception,
    expected: bool | None,  # noqa: FBT001
):
    judged = (ours.failures(error), ours.successes(error), ours.ignore(error))

    assert judged == (expected is True, expected is False, expected is None)


def test_a_rejection_survives_pickling():
    rejection = ours.SqlalchemyCircuitOpenError("orders", State.OPEN, 2.5, "why", None)

    copy = pickle.loads(pickle.dumps(rejection))  # noqa: S301 - our own

    assert type(copy) is ours.SqlalchemyCircuitOpenError
    assert (copy.args, str(copy)) == (rejection.args, str(rejection))
    assert isinstance(copy.orig, CircuitOpenError)
