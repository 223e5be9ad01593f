"""State shared through Redis or Valkey, under the original's keys."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from .._redis_books import RedisBooks
from ._states import STATE_CLOSED
from ._storage import CircuitBreakerStorage

if TYPE_CHECKING:
    from datetime import datetime


class CircuitRedisStorage(CircuitBreakerStorage):
    """Keeps everything under `[namespace:]pybreaker:...`, for all processes.

    Every read and write is one command on the calling thread. In an outage the state is
    the fallback, counters are 0 and writes are dropped; each is logged on the logger
    named pybreaker.
    """

    BASE_NAMESPACE = "pybreaker"

    logger: logging.Logger = logging.getLogger("pybreaker")

    def __init__(
        self,
        state: str,
        redis_object: Any,
        namespace: str | None = None,
        fallback_circuit_state: str = STATE_CLOSED,
        cluster_mode: bool = False,  # noqa: FBT001, FBT002  the original's signature
    ) -> None:
        """Write the first values; those already there stay.

        Args:
            state: The state to start in, where there is none.
            redis_object: A client with redis-py's commands.
            namespace: What to put before the keys. Default: nothing.
            fallback_circuit_state: The state while the server cannot be asked, and the
                one to start in again should its key vanish.
            cluster_mode: Write the opening time without a transaction.

        Raises:
            ImportError: redis is not installed.
            redis.exceptions.RedisError: The server cannot be asked now.
        """
        from . import HAS_REDIS_SUPPORT  # noqa: PLC0415  may be set from outside

        if not HAS_REDIS_SUPPORT:
            msg = (
                "CircuitRedisStorage can only be used if"
                " the required dependencies exist"
            )
            raise ImportError(msg)
        super().__init__("redis")
        prefix = self.BASE_NAMESPACE
        if namespace:
            prefix = f"{namespace}:{prefix}"
        self._books = RedisBooks(redis_object, prefix, self.logger)
        self._fallback_circuit_state = fallback_circuit_state
        self._cluster_mode = cluster_mode
        self._initialize_redis_state(state)

    def _initialize_redis_state(self, state: str) -> None:
        self._books.add("fail_counter", 0)
        self._books.add("success_counter", 0)
        self._books.add("state", str(state))

    def _start_again(self) -> str:
        self._initialize_redis_state(self._fallback_circuit_state)
        return self._fallback_circuit_state

    @property
    def state(self) -> str:
        """One of "closed", "open" and "half-open"; the fallback in an outage."""
        fallback = self._fallback_circuit_state
        return self._books.text("state", missing=self._start_again, down=fallback)

    @state.setter
    def state(self, state: str) -> None:
        self._books.set("state", str(state))

    def increment_counter(self) -> None:
        """Count one more failure."""
        self._books.increment("fail_counter")

    def reset_counter(self) -> None:
        """Set the failure counter to 0."""
        self._books.set("fail_counter", 0)

    def increment_success_counter(self) -> None:
        """Count one more success in half-open."""
        self._books.increment("success_counter")

    def reset_success_counter(self) -> None:
        """Set the success counter to 0."""
        self._books.set("success_counter", 0)

    @property
    def counter(self) -> int:
        """Failures in a row, of all processes; 0 in an outage."""
        return self._books.number("fail_counter", _NO_ERRORS) or 0

    @property
    def success_counter(self) -> int:
        """Successes in a row in half-open, of all processes; 0 in an outage."""
        return self._books.number("success_counter", _NO_SUCCESSES) or 0

    @property
    def opened_at(self) -> datetime | None:
        """When the circuit was last opened, in whole seconds of UTC; None in an outage."""
        return self._books.time("opened_at")

    @opened_at.setter
    def opened_at(self, opened_at: datetime) -> None:
        later = not self._cluster_mode
        self._books.set_if_later("opened_at", opened_at, atomic=later)


_NO_ERRORS = "RedisError: Assuming no errors"
_NO_SUCCESSES = "RedisError: Assuming no successes"
