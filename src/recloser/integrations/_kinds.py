"""What a thing that is handed to an integration must be."""

from __future__ import annotations

from .. import CircuitBreaker, Guard


def check(name: str, given: object, *kinds: type) -> None:
    """Refuse what is of none of these kinds, before anything is guarded with it.

    Raises:
        TypeError: It is not; the message shows it.
    """
    if not isinstance(given, kinds):
        known = " or ".join(kind.__name__ for kind in kinds)
        msg = f"{name} must be {known}, got {given!r}"
        raise TypeError(msg)


def check_breaker(given: object) -> None:
    """Refuse what is neither a breaker nor a guard of one.

    Raises:
        TypeError: It is not.
    """
    check("breaker", given, CircuitBreaker, Guard)
