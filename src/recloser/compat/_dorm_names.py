"""What dorm's circuit breaker tells and raises."""

from __future__ import annotations

from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING

from ._rejections import NO_FACTS, Facts, RejectionError

if TYPE_CHECKING:

    class DatabaseError(Exception):
        """The original's, or what stands in for it."""

else:
    try:
        DatabaseError = import_module("dorm.exceptions").DatabaseError
    except ImportError:

        class DatabaseError(Exception):
            """Stands in for dorm's, which is not installed."""


class CircuitState(Enum):
    """What `CircuitBreaker.state` tells."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class CircuitOpenError(RejectionError, DatabaseError):
    """A block was rejected. Its text is its only argument, as in the original."""

    __module__ = "recloser.compat.dorm"  # where people import it from
    __slots__ = ()

    def __init__(self, *args: object, facts: Facts = NO_FACTS) -> None:
        """Take any arguments; the facts are ours."""
        self.args = args
        self._facts = facts

    def __str__(self) -> str:
        """Return the text."""
        return Exception.__str__(self)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the text and the facts."""
        return _restored, (type(self), self.args, self._facts), vars(self)


def _restored(
    kind: type[CircuitOpenError], args: tuple[object, ...], facts: Facts
) -> CircuitOpenError:
    return kind(*args, facts=facts)
