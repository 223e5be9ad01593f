"""SQLAlchemy: one breaker around an engine, sync or asyncio.

    engine = guard(create_engine(url), breaker)

One call is making one connection, or one statement. Commits and rollbacks always pass;
a connection that turns out to be gone at a commit or while rows are read counts as one
more failed call. Pings before use (`pool_pre_ping`) are the pool's own and not guarded.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .. import CircuitBreaker, CircuitOpenError, Guard, Permit
from ._extras import extra
from ._kinds import check_breaker
from ._sqlstates import is_trouble

with extra("sqlalchemy", sqlalchemy="2.0"):
    from sqlalchemy import event, exc
    from sqlalchemy.engine import Engine, ExceptionContext

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["SqlalchemyCircuitOpenError", "failures", "guard", "ignore", "successes"]

_NETWORK = (ConnectionError, TimeoutError, socket.gaierror)
_REFUSALS: Final = {
    "DataError",
    "IntegrityError",
    "NotSupportedError",
    "ProgrammingError",
}
_TROUBLES: Final = {"InternalError", "OperationalError"}
_SQLITE: Final = {5, 7, 10, 11, 13, 14, 15, 26}
"""SQLite's BUSY, NOMEM, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL and NOTADB."""

_MYSQL_REFUSALS: Final = {1044, 1045, 1049, 1054, 1064, 1146, 1205, 1213, 1317}
"""Operational errors of MySQL that are answers: denied, unknown, locked, interrupted."""


class SqlalchemyCircuitOpenError(CircuitOpenError, exc.OperationalError):
    """Rejected: `CircuitOpenError` and SQLAlchemy's `OperationalError`. Picklable."""

    def __init__(self, *facts: Any) -> None:
        """Keep the facts of a `CircuitOpenError`, and what SQLAlchemy sets on its own."""
        exc.OperationalError.__init__(self, None, None, CircuitOpenError(*facts))
        self.args = facts

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the facts."""
        return type(self), self.args


def failures(error: BaseException) -> bool:
    """Tell whether the database was out of reach or could not do its work for anybody.

    Connections that SQLAlchemy found to be gone count; else the driver's SQLSTATE
    (classes 08, 53, 58, F0, XX, shutting down, starting up, statement timeout), SQLite's
    code or MySQL's number decides; else the DBAPI's class: OperationalError and
    InternalError count. Errors of SQLAlchemy, of the driver and of the network do.
    """
    return _is_trouble(error) is True


def successes(error: BaseException) -> bool:
    """Tell whether the database answered, if only to refuse: a constraint, a typo, a lock."""
    return _is_trouble(error) is False


def ignore(error: BaseException) -> bool:
    """Tell whether an error says nothing: misuse, an exhausted pool, a mapping mistake."""
    return _is_trouble(error) is None


def _is_trouble(error: BaseException | None) -> bool | None:
    if isinstance(error, exc.DBAPIError):
        return True if error.connection_invalidated else _of_driver(error.orig)
    if isinstance(error, exc.SQLAlchemyError):
        return None  # also its TimeoutError: the pool is exhausted
    return True if isinstance(error, _NETWORK) else _of_driver(error)


def _of_driver(error: BaseException | None) -> bool | None:
    """Judge by what the driver says: a code, or else the class that the DBAPI names."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if error is None or not kinds & (_REFUSALS | _TROUBLES | {"DatabaseError"}):
        return None
    sqlstate = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if isinstance(sqlstate, str):
        return is_trouble(sqlstate, str(error))
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int):
        return code & 0xFF in _SQLITE
    if kinds & _REFUSALS:
        # A driver that has codes, and has none here, complains itself: nothing was sent.
        return None if hasattr(error, "sqlstate") else False
    number: object = error.args[0] if error.args else None
    refused = isinstance(number, int) and number in _MYSQL_REFUSALS
    return bool(kinds & _TROUBLES) and not refused


E = TypeVar("E", bound="Engine | AsyncEngine")


def guard(engine: E, breaker: CircuitBreaker | Guard) -> E:
    """Guard an engine's connections and statements; return the same engine.

    Sessions, and engines made from it by `execution_options`, are guarded with it.
    Listeners of `do_connect` and `do_execute`, whenever they were added, run inside.

    Args:
        engine: An `Engine` or `AsyncEngine`.
        breaker: Judged by this module's lists. A `Guard` is taken as it is.

    Raises:
        TypeError: An argument is of another kind, or the engine is guarded already: each
            statement would count twice.
    """
    check_breaker(breaker)
    target = engine if isinstance(engine, Engine) else _sync_engine(engine)
    hooks: Any = target.dialect.dispatch
    if any(isinstance(hook, _Hook) for hook in hooks.do_connect):
        msg = f"{engine!r} is already guarded: each statement would count twice"
        raise TypeError(msg)
    way = breaker
    if isinstance(breaker, CircuitBreaker):
        way = breaker(ignore=ignore, successes=successes, failures=failures)
    for name in ("do_connect", "do_execute", "do_executemany", "do_execute_no_params"):
        event.listen(target, name, _Hook(way, target.dialect, name))
    event.listen(target, "handle_error", _Watch(way))
    return engine


def _sync_engine(engine: AsyncEngine) -> Engine:
    """Return what an async engine runs on, without importing what async ones need."""
    target = getattr(engine, "sync_engine", None)
    if not isinstance(target, Engine):
        msg = f"engine must be Engine or AsyncEngine, got {engine!r}"
        raise TypeError(msg)
    return target


class _Hook:
    """Does what the dialect would do, guarded: connecting, or running a statement."""

    def __init__(self, way: CircuitBreaker | Guard, dialect: Any, name: str) -> None:
        self._way = way
        self._dialect = dialect
        self._name = name

    def __call__(self, *args: Any) -> Any:
        with self._admit() as permit:
            try:
                return self._run(*args)
            except self._dialect.loaded_dbapi.Error as error:
                permit.settle(self._wrapped(error, args))
                raise

    def _admit(self) -> Permit:
        try:
            return self._way.acquire()
        except CircuitOpenError as rejection:
            raise SqlalchemyCircuitOpenError(*rejection.args) from None

    def _run(self, *args: Any) -> Any:
        """Ask the listeners that come after this one, and then the dialect."""
        listeners: Iterable[Callable[..., Any]]
        listeners = getattr(self._dialect.dispatch, self._name)
        for listener in _after(self, listeners):
            done = listener(*args)
            if done is not None if self._connects else done:
                return done
        if self._connects:
            _, _, positional, keywords = args
            return self._dialect.connect(*positional, **keywords)
        getattr(self._dialect, self._name)(*args)
        return True  # done: SQLAlchemy need not do it

    @property
    def _connects(self) -> bool:
        return self._name == "do_connect"

    def _wrapped(self, error: BaseException, args: tuple[Any, ...]) -> BaseException:
        """Return the error as SQLAlchemy's own, without the statement and its values."""
        connection = cursor = None
        if not self._connects:
            cursor, context = args[0], args[-1]
            connection = context.root_connection.connection
        gone = self._dialect.is_disconnect(error, connection, cursor)
        return exc.DBAPIError.instance(
            None,
            None,
            error,
            self._dialect.loaded_dbapi.Error,
            connection_invalidated=gone,
            dialect=self._dialect,
        )


def _after(
    hook: object, listeners: Iterable[Callable[..., Any]]
) -> Iterator[Callable[..., Any]]:
    found = False
    for listener in listeners:
        if found:
            yield listener
        found = found or listener is hook


class _Watch:
    """Counts connections that were found to be gone outside of a statement."""

    def __init__(self, way: CircuitBreaker | Guard) -> None:
        self._way = way

    def __call__(self, context: ExceptionContext) -> None:
        outside = context.connection is not None and context.statement is None
        if not outside or not context.is_disconnect:
            return
        try:
            permit = self._way.acquire()
        except CircuitOpenError:
            return  # it is known
        permit.settle(context.sqlalchemy_exception or context.original_exception)
