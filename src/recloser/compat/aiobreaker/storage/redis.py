"""State shared through Redis or Valkey, under the original's keys."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..._redis_books import RedisBooks
from ..state import CircuitBreakerState
from .base import CircuitBreakerStorage

if TYPE_CHECKING:
    from datetime import datetime

HAS_REDIS_SUPPORT = find_spec("redis") is not None


class CircuitRedisStorage(CircuitBreakerStorage):
    """Keeps everything under `[namespace:]aiobreaker:...`, for all processes.

    Every read and write is one command on the calling thread: the event loop waits for
    it, as with the original. In an outage the state is the fallback, the counter is 0
    and writes are dropped; each is logged on the logger named
    aiobreaker.storage.redis.
    """

    BASE_NAMESPACE = "aiobreaker"

    logger: logging.Logger = logging.getLogger("aiobreaker.storage.redis")

    def __init__(
        self,
        state: CircuitBreakerState,
        redis_object: Any,
        namespace: str | None = None,
        fallback_circuit_state: CircuitBreakerState = CircuitBreakerState.CLOSED,
    ) -> None:
        """Write the first values; those already there stay.

        Args:
            state: The state to start in, where there is none.
            redis_object: A client with redis-py's commands, not an asyncio one.
            namespace: What to put before the keys. Default: nothing.
            fallback_circuit_state: The state while the server cannot be asked, and the
                one to start in again should its key vanish.

        Raises:
            ImportError: redis is not installed.
            redis.exceptions.RedisError: The server cannot be asked now.
        """
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
        self._initialize_redis_state(state)

    def _initialize_redis_state(self, state: CircuitBreakerState) -> None:
        self._books.add("fail_counter", 0)
        self._books.add("state", state.name)

    def _start_again(self) -> str:
        self._initialize_redis_state(self._fallback_circuit_state)
        return self._fallback_circuit_state.name

    @property
    def state(self) -> CircuitBreakerState:
        """The state, a member of the enum; the fallback in an outage."""
        fallback = self._fallback_circuit_state.name
        name = self._books.text("state", missing=self._start_again, down=fallback)
        member: CircuitBreakerState = getattr(CircuitBreakerState, name)
        return member

    @state.setter
    def state(self, state: CircuitBreakerState) -> None:
        self._books.set("state", state.name)

    def increment_counter(self) -> None:
        """Count one more failure."""
        self._books.increment("fail_counter")

    def reset_counter(self) -> None:
        """Set the failure counter to 0."""
        self._books.set("fail_counter", 0)

    @property
    def counter(self) -> int:
        """Failures in a row, of all processes; 0 in an outage."""
        return self._books.number("fail_counter", _NO_ERRORS) or 0

    @property
    def opened_at(self) -> datetime | None:
        """When the circuit was last opened, in whole seconds of UTC; None in an outage."""
        at = self._books.time("opened_at")
        return None if at is None else at.replace(tzinfo=None)

    @opened_at.setter
    def opened_at(self, opened_at: datetime) -> None:
        self._books.set_if_later("opened_at", opened_at)


_NO_ERRORS = "RedisError: Assuming no errors"
