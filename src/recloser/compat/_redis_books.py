"""One circuit's keys in Redis or Valkey, as the originals write and read them.

So old and new processes can share them. While the server cannot be asked, reads give
what was agreed for that case, writes are dropped, and each is logged as an error with
its traceback. Writing the first values is not guarded: a server that is down then is
the caller's to know.
"""

from __future__ import annotations

import calendar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from logging import Logger


class RedisBooks:
    """Named values under one prefix. As safe to share as the client it is given."""

    def __init__(self, client: Any, prefix: str, logger: Logger) -> None:
        """Use `client`, any object with redis-py's commands."""
        from redis.exceptions import RedisError  # noqa: PLC0415  an extra

        self._client = client
        self._prefix = prefix
        self._logger = logger
        self._outage = RedisError

    def key(self, name: str) -> str:
        """Return the key a value is kept under."""
        return f"{self._prefix}:{name}"

    def add(self, name: str, value: int | str) -> None:
        """Write a first value; one that is there already stays."""
        self._client.setnx(self.key(name), value)

    def text(self, name: str, missing: Callable[[], str], down: str) -> str:
        """Return a text; `missing()` where there is none, `down` in an outage."""
        try:
            raw = self._client.get(self.key(name))
            return missing() if raw is None else _decoded(raw)
        except self._outage:
            self._logger.exception("RedisError: falling back to default circuit state")
            return down

    def number(self, name: str, message: str = "RedisError") -> int | None:
        """Return a whole number; None where there is none, and in an outage."""
        try:
            raw = self._client.get(self.key(name))
        except self._outage:
            self._logger.exception(message)
            return None
        return int(raw) if raw else None

    def time(self, name: str) -> datetime | None:
        """Return an aware UTC time, in whole seconds."""
        seconds = self.number(name)
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)

    def set(self, name: str, value: int | str) -> None:
        """Write a value over whatever is there."""
        self._unless_down(self._client.set, self.key(name), value)

    def increment(self, name: str) -> None:
        """Add 1 on the server."""
        self._unless_down(self._client.incr, self.key(name))

    def set_if_later(self, name: str, at: datetime, *, atomic: bool = True) -> None:
        """Write a time, its seconds cut off, if none or an earlier one is there.

        The clock face of `at` is taken for UTC whatever its zone, as the originals do.
        Without `atomic`, for servers in cluster mode, two writers can cross.
        """
        seconds = calendar.timegm(at.timetuple())
        key = self.key(name)

        def write(pipe: Any) -> None:
            current = pipe.get(key)
            if atomic:
                pipe.multi()
            if not current or seconds > int(current):
                pipe.set(key, seconds)

        if atomic:
            self._unless_down(self._client.transaction, write, key)
        else:
            self._unless_down(write, self._client)

    def _unless_down(self, command: Callable[..., object], *args: object) -> None:
        try:
            command(*args)
        except self._outage:
            self._logger.exception("RedisError")


def _decoded(raw: bytes | str) -> str:
    return raw.decode() if isinstance(raw, bytes) else raw
