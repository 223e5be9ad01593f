"""psycopg 3: connection classes that put one breaker around a database.

    Connection = guard(psycopg.Connection, breaker)
    connection = Connection.connect(conninfo)
    pool = ConnectionPool(conninfo, connection_class=Connection)

One call is connecting, one statement, one `executemany`, one COPY, one stream, or one
fetch of a server-side cursor. Commits and rollbacks always pass, and are not counted: a
circuit that opens in the middle of a transaction must not keep it from ending.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache, partial
from typing import Any, TypeVar, cast, get_origin

from .. import CircuitBreaker, CircuitOpenError, Guard, Permit
from ._extras import extra
from ._kinds import check_breaker
from ._sqlstates import is_trouble

with extra("psycopg", psycopg="3.1.18"):
    import psycopg

__all__ = ["PsycopgCircuitOpenError", "failures", "guard", "ignore", "successes"]

_CLOSED = {"the connection is closed", "the cursor is closed"}
_NETWORK = (ConnectionError, TimeoutError, socket.gaierror)


class PsycopgCircuitOpenError(CircuitOpenError, psycopg.OperationalError):
    """Rejected: `CircuitOpenError` and psycopg's `OperationalError`. Picklable."""

    def __init__(self, *facts: Any) -> None:
        """Keep the facts of a `CircuitOpenError`, and what psycopg sets on its own."""
        psycopg.OperationalError.__init__(self, *facts)


def failures(error: BaseException) -> bool:
    """Tell whether the database was out of reach or could not do its work for anybody.

    Whatever prevents a connection counts; of the server's own errors, SQLSTATE classes
    08, 53, 58, F0 and XX, shutting down and starting up, and a statement timeout.
    """
    return _is_trouble(error) is True


def successes(error: BaseException) -> bool:
    """Tell whether the server answered, if only to refuse: a constraint, a typo, a lock."""
    return _is_trouble(error) is False


def ignore(error: BaseException) -> bool:
    """Tell whether an error says nothing: misuse, an exhausted pool, a closed connection."""
    return _is_trouble(error) is None


def _is_trouble(error: BaseException) -> bool | None:
    if isinstance(error, _NETWORK):
        return True
    if not isinstance(error, psycopg.Error):
        return None
    if error.sqlstate is not None:
        return is_trouble(error.sqlstate, str(error))
    if not isinstance(error, psycopg.OperationalError):
        return None  # psycopg's own complaint: nothing was sent
    from_pool = type(error).__module__.startswith("psycopg_pool")
    return None if from_pool or str(error) in _CLOSED else True


C = TypeVar("C", bound="type[psycopg.Connection[Any] | psycopg.AsyncConnection[Any]]")


def guard(connections: C, breaker: CircuitBreaker | Guard) -> C:
    """Return a subclass of a connection class whose connections are guarded.

    Args:
        connections: `psycopg.Connection`, `psycopg.AsyncConnection`, or a subclass.
        breaker: Judged by this module's lists. A `Guard` is taken as it is.

    Raises:
        TypeError: An argument is of another kind.
    """
    check_breaker(breaker)
    way = breaker
    if isinstance(breaker, CircuitBreaker):
        way = breaker(ignore=ignore, successes=successes, failures=failures)
    kind: type = get_origin(connections) or connections  # `Connection[Any]` is no class
    if not isinstance(cast("object", kind), type) or not issubclass(
        kind, psycopg.Connection | psycopg.AsyncConnection
    ):
        msg = f"connections must be a class of connections, got {connections!r}"
        raise TypeError(msg)
    if issubclass(kind, psycopg.AsyncConnection):
        return cast("C", _async_connections(kind, way))
    return cast("C", _connections(kind, way))


def _subclass(base: Any, methods: dict[str, Any]) -> Any:
    name = f"Guarded{base.__name__}"
    return type(
        name, (base,), {"__module__": __name__, "__doc__": base.__doc__, **methods}
    )


def _admit(way: CircuitBreaker | Guard) -> Permit:
    try:
        return way.acquire()
    except CircuitOpenError as rejection:
        raise PsycopgCircuitOpenError(*rejection.args) from None


async def _admit_async(way: CircuitBreaker | Guard) -> Permit:
    try:
        return await way.aacquire()
    except CircuitOpenError as rejection:
        raise PsycopgCircuitOpenError(*rejection.args) from None


_STATEMENTS = ("execute", "executemany")
_FETCHES = ("fetchone", "fetchmany", "fetchall")


# -- sync ----------------------------------------------------------------------------


def _connections(base: Any, way: CircuitBreaker | Guard) -> Any:
    inner: Callable[..., Any] = base.connect.__func__
    cursors = cache(partial(_cursors, way))

    def connect(cls: Any, *args: Any, **kwargs: Any) -> Any:
        with _admit(way):
            made: Any = inner(cls, *args, **kwargs)
        made.cursor_factory = cursors(made.cursor_factory)
        made.server_cursor_factory = cursors(made.server_cursor_factory)
        return made

    return _subclass(base, {"connect": classmethod(connect)})


def _cursors(way: CircuitBreaker | Guard, base: Any) -> Any:
    fetching = issubclass(base, psycopg.ServerCursor)
    names = (*_STATEMENTS, *(_FETCHES if fetching else ()))
    methods: dict[str, Any] = {name: _one(getattr(base, name), way) for name in names}
    methods["copy"] = _copying(base.copy, way)
    for name in ("stream", *(("__iter__",) if fetching else ())):
        methods[name] = _streaming(getattr(base, name), way)
    return _subclass(base, methods)


def _one(method: Callable[..., Any], way: CircuitBreaker | Guard) -> Callable[..., Any]:
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _admit(way):
            return method(self, *args, **kwargs)

    return run


def _copying(
    method: Callable[..., Any], way: CircuitBreaker | Guard
) -> Callable[..., Any]:
    @contextmanager
    def run(self: Any, *args: Any, **kwargs: Any) -> Generator[Any]:
        with _admit(way), method(self, *args, **kwargs) as copy:
            yield copy

    return run


def _streaming(
    method: Callable[..., Any], way: CircuitBreaker | Guard
) -> Callable[..., Any]:
    def run(self: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        with _admit(way) as permit:
            rows = method(self, *args, **kwargs)
            while True:  # not `for`: a server-side cursor may be its own iterator
                try:
                    row = next(rows)
                except StopIteration:
                    return
                permit.item()
                yield row

    return run


# -- asyncio -------------------------------------------------------------------------


def _async_connections(base: Any, way: CircuitBreaker | Guard) -> Any:
    inner: Callable[..., Any] = base.connect.__func__
    cursors = cache(partial(_async_cursors, way))

    async def connect(cls: Any, *args: Any, **kwargs: Any) -> Any:
        async with await _admit_async(way):
            made: Any = await inner(cls, *args, **kwargs)
        made.cursor_factory = cursors(made.cursor_factory)
        made.server_cursor_factory = cursors(made.server_cursor_factory)
        return made

    return _subclass(base, {"connect": classmethod(connect)})


def _async_cursors(way: CircuitBreaker | Guard, base: Any) -> Any:
    fetching = issubclass(base, psycopg.AsyncServerCursor)
    names = (*_STATEMENTS, *(_FETCHES if fetching else ()))
    methods: dict[str, Any] = {
        name: _one_async(getattr(base, name), way) for name in names
    }
    methods["copy"] = _copying_async(base.copy, way)
    for name in ("stream", *(("__aiter__",) if fetching else ())):
        methods[name] = _streaming_async(getattr(base, name), way)
    return _subclass(base, methods)


def _one_async(
    method: Callable[..., Any], way: CircuitBreaker | Guard
) -> Callable[..., Any]:
    async def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        async with await _admit_async(way):
            return await method(self, *args, **kwargs)

    return run


def _copying_async(
    method: Callable[..., Any], way: CircuitBreaker | Guard
) -> Callable[..., Any]:
    @asynccontextmanager
    async def run(self: Any, *args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
        async with await _admit_async(way), method(self, *args, **kwargs) as copy:
            yield copy

    return run


def _streaming_async(
    method: Callable[..., Any], way: CircuitBreaker | Guard
) -> Callable[..., Any]:
    async def run(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        async with await _admit_async(way) as permit:
            rows = method(self, *args, **kwargs)
            while True:
                try:
                    row = await anext(rows)
                except StopAsyncIteration:
                    return
                permit.item()
                yield row

    return run
