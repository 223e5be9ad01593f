"""redis-py: one breaker around a client's commands and pipelines, sync and asyncio.

    client = guard(redis.Redis(), breaker)

One call is one command or one pipeline, with the client's own retries inside it: a
rejection is never retried by redis-py. What counts is a server that cannot be reached
or cannot do its work for anybody; wrong types, missing scripts and refused logins are
answers. An exhausted connection pool is neutral.

Left alone: the waiting of `pubsub()` and `monitor()`, which may last for ever. Blocking
commands (`blpop`) are calls as long as they wait: keep them on a client of their own if
the breaker has a rule about slow calls.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any, Protocol, TypeVar, cast

from .. import CircuitBreaker, CircuitOpenError, Guard
from ._extras import extra
from ._kinds import check_breaker

with extra("redis", redis="5.0"):
    from redis import exceptions

__all__ = [
    "RedisCircuitOpenError",
    "failure_result",
    "failures",
    "guard",
    "ignore",
    "successes",
]

_FULL_POOLS = {"No connection available.", "Too many connections"}
_ANSWERED = (exceptions.AuthenticationError, exceptions.AuthorizationError)
_BROKEN = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.InvalidResponse,
    exceptions.BusyLoadingError,
    exceptions.ClusterDownError,
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.SlotNotCoveredError,
    ConnectionError,
    TimeoutError,
    socket.gaierror,
)
_HELPLESS = re.compile(
    r"(?:^|caused error: )(?:CLUSTERDOWN|LOADING|MASTERDOWN|MISCONF|NOREPLICAS|OOM|READONLY)\b"
)
"""How an answer begins by which the server says that it can serve nobody now."""


class RedisCircuitOpenError(CircuitOpenError, exceptions.ConnectionError):
    """The command was rejected: `CircuitOpenError` and redis-py's `ConnectionError`.

    Raised outside the client's own retries, which therefore never see it. Picklable.
    """

    def __init__(self, *facts: Any) -> None:
        """Keep the facts of a `CircuitOpenError`, and what redis-py sets on its own."""
        exceptions.ConnectionError.__init__(self, *facts)  # pyright: ignore[reportUnknownMemberType] - redis has no hint there


def _is_full_pool(error: BaseException) -> bool:
    is_connection = isinstance(error, exceptions.ConnectionError)
    return is_connection and str(error) in _FULL_POOLS


def ignore(error: BaseException) -> bool:
    """Tell whether an error says nothing about the server: misuse, or a full pool."""
    return not failures(error) and not successes(error)


def successes(error: BaseException) -> bool:
    """Tell whether the server answered, if only to refuse."""
    if failures(error):
        return False
    answers = (exceptions.ResponseError, exceptions.WatchError)
    return isinstance(error, (*answers, *_ANSWERED))


def failures(error: BaseException) -> bool:
    """Tell whether the server was out of reach or could not do its work for anybody.

    Connection errors and timeouts, and the answers LOADING, READONLY, OOM, MISCONF,
    NOREPLICAS, CLUSTERDOWN and MASTERDOWN, in pipelines too.
    """
    if isinstance(error, _ANSWERED) or _is_full_pool(error):
        return False
    if isinstance(error, _BROKEN):
        return True
    answer = isinstance(error, exceptions.ResponseError)
    return answer and _HELPLESS.search(str(error)) is not None


def failure_result(result: object) -> bool:
    """Tell whether a pipeline's results, errors among them, hold a failure."""
    results = cast("list[object]", result) if isinstance(result, list) else []
    return any(isinstance(each, Exception) and failures(each) for each in results)


class _Client(Protocol):
    """What sync, asyncio and cluster clients have in common."""

    @property
    def execute_command(self) -> Callable[..., Any]: ...

    @property
    def pipeline(self) -> Callable[..., Any]: ...


C = TypeVar("C", bound=_Client)


def guard(client: C, breaker: CircuitBreaker | Guard) -> C:
    """Guard a client's commands and pipelines; return the same client.

    Pipelines, locks, scripts, transactions and `client.client()` made from it are
    guarded with it. Threads and tasks may share it as before.

    Args:
        client: A `redis.Redis`, `redis.asyncio.Redis`, or cluster client of either.
        breaker: Judged by this module's lists. A `Guard` is taken as it is, with the
            lists it has: `breaker(failures=..., ignore=ignore, successes=successes)`.

    Raises:
        TypeError: An argument is of another kind, or the client is guarded already: each
            command would count twice.
    """
    check_breaker(breaker)
    if not hasattr(client, "execute_command") or isinstance(client, type):
        msg = f"client must be a client of redis-py, got {client!r}"
        raise TypeError(msg)
    if "execute_command" in vars(client):
        msg = f"{client!r} is already guarded: each command would count twice"
        raise TypeError(msg)
    way = breaker
    if isinstance(breaker, CircuitBreaker):
        way = breaker(
            ignore=ignore,
            successes=successes,
            failures=failures,
            failure_result=failure_result,
        )
    _replace(client, "execute_command", lambda call: _guarded(call, way))
    _replace(client, "pipeline", lambda make: _making_pipelines(make, way))
    if hasattr(client, "client"):
        _replace(client, "client", lambda make: lambda: guard(make(), breaker))
    return client


def _replace(
    target: object, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> None:
    setattr(target, name, wrap(getattr(target, name)))


def _making_pipelines(
    make: Callable[..., Any], way: CircuitBreaker | Guard
) -> Callable[..., Any]:
    def pipeline(*args: Any, **kwargs: Any) -> Any:
        made = make(*args, **kwargs)
        _replace(made, "execute", lambda call: _unless_empty(made, call, way))
        if hasattr(made, "immediate_execute_command"):
            _replace(
                made, "immediate_execute_command", lambda call: _guarded(call, way)
            )
        return made

    return pipeline


def _unless_empty(
    pipeline: Any, call: Callable[..., Any], way: CircuitBreaker | Guard
) -> Callable[..., Any]:
    """Guard what sends something: an empty pipeline says nothing about the server."""
    guarded = _guarded(call, way)

    def execute(*args: Any, **kwargs: Any) -> Any:
        return (guarded if len(pipeline) else call)(*args, **kwargs)

    return execute


def _guarded(
    call: Callable[..., Any], way: CircuitBreaker | Guard
) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return way.call(call, *args, **kwargs)
        except CircuitOpenError as rejection:
            raise RedisCircuitOpenError(*rejection.args) from None

    async def run_async(*args: Any, **kwargs: Any) -> Any:
        try:
            return await way.acall(call, *args, **kwargs)
        except CircuitOpenError as rejection:
            raise RedisCircuitOpenError(*rejection.args) from None

    return run_async if iscoroutinefunction(call) else run
