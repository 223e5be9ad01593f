"""A budget for retries, earned by a breaker's successes."""

from __future__ import annotations

import threading

from .._core import ranges
from .._core.hints import cast, final
from .._core.retries import Store, earn, spend
from .._core.states import State
from . import forks
from .breaker import CircuitBreaker

_CALM = {State.CLOSED, State.METRICS_ONLY}


@final
class RetryBudget:
    """Allows retries as a share of a breaker's successes, however many loops retry.

    Retries are what turns a short fault into a long one: three for each call quadruple the
    load on something that fails because of load. With a budget they stay a small part
    of what succeeds. The successes are those that the breaker counts anyway, so the
    budget costs a call nothing; and there are none while the circuit is open or probes.

        budget = RetryBudget(payments)
        while True:
            try:
                return payments.call(charge)
            except ConnectionError:
                if not budget.take():
                    raise

    Any number of threads and tasks may share one. While the breaker is disabled nothing
    is counted, and every retry is allowed.

    Args:
        breaker: Whose successes count, and whose open circuit ends retries.
        share: Retries per success, in (0, 1]. Default 0.1.
        reserve: Retries that can be saved, a whole number of at least 1, and what it
            begins with. Default 10.

    Raises:
        TypeError, ValueError: It is no breaker, or a number is of the wrong type or out
            of range.

    Source: Finagle's `RetryBudget`; gRPC's retry throttling.
    """

    __slots__ = ("__weakref__", "_breaker", "_lock", "_reserve", "_share", "_store")

    def __init__(
        self, breaker: CircuitBreaker, *, share: float = 0.1, reserve: int = 10
    ) -> None:
        """Begin with a full reserve."""
        if not isinstance(cast("object", breaker), CircuitBreaker):
            msg = f"breaker must be a CircuitBreaker, got {breaker!r}"
            raise TypeError(msg)
        self._breaker = breaker
        self._share = ranges.rate("share", share)
        self._reserve = ranges.whole("reserve", reserve)
        successes = breaker.snapshot().totals.successes
        full = ranges.number("reserve", self._reserve)
        self._store = Store(retries=full, successes=successes)
        self._lock = threading.RLock()  # a signal handler may come in between
        forks.watch(self)

    def after_fork(self) -> None:
        """In a child: a new lock."""
        self._lock = threading.RLock()

    def take(self) -> bool:
        """Take the right to make one retry, if there is one; what is taken is spent."""
        snapshot = self._breaker.snapshot()
        if snapshot.state not in _CALM:
            return snapshot.state is State.DISABLED
        while True:
            before = self._store
            earned = self._earned(before, snapshot.totals.successes)
            left = spend(earned)
            after = earned if left is None else left
            with self._lock:
                if self._store is before:  # else another came in between
                    self._store = after
                    return left is not None

    @property
    def left(self) -> int:
        """How many retries are saved now."""
        successes = self._breaker.snapshot().totals.successes
        return int(self._earned(self._store, successes).retries)

    def _earned(self, store: Store, successes: int) -> Store:
        return earn(store, successes, share=self._share, reserve=self._reserve)

    def __repr__(self) -> str:
        """Say whose it is and what is left."""
        return f"<RetryBudget of {self._breaker.name!r}, {self.left} left>"
