"""What HTTP clients share: which answers count, hints of servers, and one exchange.

An exchange is one request and its answer, from the permit to the end of the body. A
status that counts settles it at once; any other answer is judged by how its body ends:
read to the end, or left by the caller, is a success; one that breaks is a failure.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from math import isfinite
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast, final

from .. import BreakerGroup, CircuitBreaker, PermitError

if TYPE_CHECKING:
    from .. import Permit

Request = TypeVar("Request")
Header = Callable[[str], str | None]
Breakers = BreakerGroup | CircuitBreaker

STATUSES: Final = frozenset({429, 500, 502, 503, 504})
"""The statuses that count as failures unless told otherwise."""

_FIRST, _LAST = 100, 599  # RFC 9110, section 15: what is not in between is no status
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class FailingStatusError(Exception):
    """What a breaker remembers of an answer whose status counts. Never raised."""

    def __init__(self, status: int) -> None:
        """Say it as a status line does."""
        known = status in HTTPStatus.__members__.values()
        super().__init__(f"{status} {HTTPStatus(status).phrase}" if known else status)


def failing_statuses(statuses: object) -> frozenset[int]:
    """Return the statuses as a set.

    Raises:
        TypeError: It is no iterable of whole numbers.
        ValueError: One of them is no HTTP status.
    """
    if not isinstance(statuses, Iterable) or isinstance(statuses, str | bytes):
        msg = f"statuses must be an iterable of HTTP statuses, got {statuses!r}"
        raise TypeError(msg)
    return frozenset(_status(each) for each in cast("Iterable[object]", statuses))


def _status(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        msg = f"statuses must hold whole numbers, got {value!r}"
        raise TypeError(msg)
    if not _FIRST <= value <= _LAST:
        msg = f"statuses must be from {_FIRST} to {_LAST}, got {value!r}"
        raise ValueError(msg)
    return int(value)


def hint(header: Header) -> float | None:
    """Return how long a server asks its callers to stay away, in seconds, or None.

    `Retry-After` holds seconds or an HTTP date. A date is compared with the answer's
    own `Date`, so the two clocks need not agree. The OpenAI and Anthropic services have
    `retry-after-ms` too, which is asked first, as their own SDKs do.
    """
    milliseconds = _seconds(header("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = header("retry-after")
    seconds = _seconds(value)
    if seconds is not None:
        return seconds
    until, since = _moment(value), _moment(header("date"))
    if until is None:
        return None
    return max(0.0, until - (time.time() if since is None else since))


def _seconds(value: str | None) -> float | None:
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if isfinite(seconds) and seconds >= 0 else None


def _moment(value: str | None) -> float | None:
    try:
        moment: datetime = parsedate_to_datetime(value or "")
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def host_key(scheme: str, host: str | None, port: int | None) -> str:
    """Return what the breaker of a host is called: its name, and a port of its own."""
    name = (host or "").lower()
    if port is None or port == _DEFAULT_PORTS.get(scheme):
        return name
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


@final
class Watch(Generic[Request]):
    """How one client's requests are guarded. Immutable; for any thread or task."""

    def __init__(
        self,
        breakers: Breakers | None,
        *,
        name: str,
        key: Callable[[Request], object],
        statuses: Iterable[int],
        neutral: Callable[[BaseException], bool],
    ) -> None:
        """Check the options; without breakers, make a group called `name`."""
        made = BreakerGroup(name) if breakers is None else breakers
        if not isinstance(cast("object", made), BreakerGroup | CircuitBreaker):
            msg = f"breakers must be a BreakerGroup or a CircuitBreaker, got {made!r}"
            raise TypeError(msg)
        if not callable(key):
            msg = f"key must be a function of the request, got {key!r}"
            raise TypeError(msg)
        self._breakers: Breakers = made
        self._key = key
        self._statuses = failing_statuses(statuses)
        self._neutral = neutral

    @property
    def breakers(self) -> Breakers:
        """The group, or the one breaker."""
        return self._breakers

    def breaker_for(self, request: Request) -> CircuitBreaker:
        """Return the breaker of a request."""
        found = self._breakers
        return found[self._key(request)] if isinstance(found, BreakerGroup) else found

    def admit(self, request: Request) -> Exchange:
        """Begin an exchange.

        Raises:
            CircuitOpenError: The request is rejected.
        """
        permit = self.breaker_for(request).acquire()
        return Exchange(permit, self._statuses, self._neutral)


@final
class Exchange:
    """One request and its answer. Settled once; whatever comes after that is ignored.

    Used by one thread or task at a time, like the answer it belongs to, but may be
    closed from any.
    """

    __slots__ = ("_neutral", "_permit", "_statuses")

    def __init__(
        self,
        permit: Permit,
        statuses: frozenset[int],
        neutral: Callable[[BaseException], bool],
    ) -> None:
        """Hold the permit of an admitted request."""
        self._permit = permit
        self._statuses = statuses
        self._neutral = neutral

    @property
    def settled(self) -> bool:
        """Whether the outcome is known."""
        return self._permit.settled

    def answered(self, status: int, header: Header) -> None:
        """Take the head of an answer: a failure, or the first part of a body."""
        if status not in self._statuses:
            self._permit.item()
            return
        with suppress(PermitError):
            self._permit.failure(FailingStatusError(status), retry_after=hint(header))

    def part(self) -> None:
        """Take a part of the body."""
        self._permit.item()

    def ended(self) -> None:
        """Settle: the body was read to its end."""
        with suppress(PermitError):
            self._permit.settle()

    def left(self) -> None:
        """Settle: nobody reads the rest of the body."""
        with suppress(PermitError):
            self._permit.settle(GeneratorExit())

    def raised(self, error: BaseException) -> None:
        """Settle: the request or the body broke, or was cancelled."""
        with suppress(PermitError):
            if self._neutral(error):
                self._permit.release()
            else:
                self._permit.settle(error)
