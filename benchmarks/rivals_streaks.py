"""How each rival with consecutive failures and plain functions is set up.

Every adapter is checked by tripping its breaker before rejections are timed.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache, wraps
from itertools import count
from math import inf
from time import monotonic
from typing import Any

from .subjects import Guards, Setup, library, member

_numbers = count()


class Rejected(Exception):  # noqa: N818 - not an error of ours
    """What lasier is told to raise."""


class DictCache:
    """The least that lasier accepts as a cache; only what is `set` expires."""

    def __init__(self) -> None:
        """Start empty."""
        self.held: dict[str, int] = {}
        self.ends: dict[str, float] = {}

    def get(self, key: str) -> int | None:
        if self.ends and self.ends.get(key, inf) < monotonic():
            del self.held[key], self.ends[key]
        return self.held.get(key)

    def set(self, key: str, value: int, timeout: float) -> None:
        self.held[key] = value
        self.ends[key] = monotonic() + timeout

    def add(self, key: str, value: int, _timeout: object = None) -> None:
        self.held.setdefault(key, value)

    def incr(self, key: str) -> int:
        value = self.held[key] = self.held.get(key, 0) + 1
        return value

    def expire(self, key: str, timeout: object) -> None:
        """Keep it all the same: no benchmark lasts that long."""

    def delete(self, key: str) -> None:
        self.held.pop(key, None)


class AsyncDictCache:
    """The same for lasier's asyncio half."""

    def __init__(self) -> None:
        """Start empty."""
        self.inner = DictCache()

    async def get(self, key: str) -> int | None:
        return self.inner.get(key)

    async def add(self, key: str, value: int, _timeout: object = None) -> None:
        self.inner.add(key, value)

    async def set(self, key: str, value: int, lasting: float) -> None:
        self.inner.set(key, value, lasting)

    async def incr(self, key: str) -> int:
        return self.inner.incr(key)

    async def expire(self, key: str, lasting: object) -> None:
        """Keep it all the same."""

    async def delete(self, key: str) -> None:
        self.inner.delete(key)


_CACHE, _ACACHE = DictCache(), AsyncDictCache()


@library("pybreaker", "pybreaker", "streak", note="holds its lock during the call")
def pybreaker(lib: Any, setup: Setup) -> Guards:
    b = lib.CircuitBreaker(fail_max=setup.threshold, reset_timeout=setup.wait)
    error = lib.CircuitBreakerError
    return Guards(b, generator=b, block=b.calling, entry="m()", rejection=error)


@library("aiobreaker", "aiobreaker", "streak")
def aiobreaker(lib: Any, setup: Setup) -> Guards:
    b = lib.CircuitBreaker(setup.threshold, timedelta(seconds=setup.wait))
    return Guards(b, b, generator=b, rejection=lib.CircuitBreakerError)


@library(
    "circuitbreaker",
    "circuitbreaker",
    "streak",
    note="entering its `with` block checks nothing",
)
def circuitbreaker(lib: Any, setup: Setup) -> Guards:
    b = lib.CircuitBreaker(setup.threshold, setup.wait, name=f"b{next(_numbers)}")
    return Guards(b, b, b, b, block=b, rejection=lib.CircuitBreakerError)


@cache
def _factory(kind: Any, threshold: int, wait: float) -> Any:
    return kind(threshold, wait)


@library("purgatory", "purgatory", "streak", note="looks the breaker up on every call")
def purgatory(lib: Any, setup: Setup) -> Guards:
    name = f"b{next(_numbers)}"
    plain = _factory(lib.SyncCircuitBreakerFactory, setup.threshold, setup.wait)
    aio = _factory(lib.AsyncCircuitBreakerFactory, setup.threshold, setup.wait)
    return Guards(
        plain(name),
        aio(name),
        block=plain.get_breaker,
        entry='m("b")',
        ablock=aio.get_breaker,
        aentry='await m("b")',
        rejection=member("purgatory.domain.model", "OpenedState"),
    )


@library("pycircuitbreaker", "pycircuitbreaker", "streak")
def pycircuitbreaker(lib: Any, setup: Setup) -> Guards:
    options = {"error_threshold": setup.threshold, "recovery_timeout": setup.wait}
    error = member("pycircuitbreaker.exceptions", "CircuitBreakerException")
    return Guards(lambda function: lib.circuit(function, **options), rejection=error)


@library(
    "lasier",
    "lasier",
    "streak",
    "time",
    note="over a dict cache written for this benchmark; failures add up for a minute",
)
def lasier(_: Any, setup: Setup) -> Guards:
    home = "lasier.circuit_breaker"
    key = f"b{next(_numbers)}"
    if setup.policy == "time":
        percentage = member(f"{home}.rules", "PercentageFailuresRule")
        rule = percentage(100, key, setup.minimum, f"{key}-calls")
    else:
        rule = member(f"{home}.rules", "MaxFailuresRule")(setup.threshold, key)
    options = {"failure_exception": Rejected, "circuit_timeout": setup.wait}
    plain = member(f"{home}.sync", "CircuitBreaker")(rule, _CACHE, **options)
    aio = member(f"{home}.asyncio", "CircuitBreaker")(rule, _ACACHE, **options)
    return Guards(plain, aio, block=plain, ablock=aio, rejection=Rejected)


@library(
    "djanorm",
    "dorm.contrib.circuit_breaker",
    "streak",
    note="no decorator of its own: a hand-written wrapper around its manager",
)
def djanorm(lib: Any, setup: Setup) -> Guards:
    b = lib.CircuitBreaker(
        "b", failure_threshold=setup.threshold, open_window_s=setup.wait
    )

    def plain(function: Any) -> Any:
        @wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            with b:
                return function(*args, **kwargs)

        return guarded

    def aio(function: Any) -> Any:
        @wraps(function)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            async with b.aprotect():
                return await function(*args, **kwargs)

        return guarded

    blocks = {"block": b, "ablock": b.aprotect, "aentry": "m()"}
    return Guards(plain, aio, rejection=lib.CircuitOpenError, **blocks)
