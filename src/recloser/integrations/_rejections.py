"""What a rejection that leaves an application looks like to its caller."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Literal, cast, get_args

from .. import CircuitOpenError
from ._answers import Answer, problem

Told = Literal["name", "state", "reason"]
"""What a caller may be told beside the wait."""

_MEMBERS = {"name": "breaker", "state": "state", "reason": "reason"}
_LONGEST_TEXT = 200  # characters of a name or reason in a body
_UNAVAILABLE = "A service that this request needs is not available."


def checked(tell: Iterable[Told]) -> frozenset[Told]:
    """Return what to tell, or refuse it.

    Raises:
        ValueError: Something that cannot be told is named.
        TypeError: It is one string, not several.
    """
    if isinstance(tell, str):
        msg = f"tell must be a tuple such as ({tell!r},), got {tell!r}"
        raise TypeError(msg)
    wanted = frozenset(tell)
    unknown = wanted - set(get_args(Told))
    if unknown:
        known = ", ".join(get_args(Told))
        msg = f"tell may hold {known}, got {', '.join(map(repr, sorted(unknown)))}"
        raise ValueError(msg)
    return wanted


def rejection_in(error: BaseException) -> CircuitOpenError | None:
    """Return the rejection that an exception is, or None.

    A group is one if nothing else is in it; then the one with the longest wait speaks.
    """
    leaves = list(_leaves(error))
    rejections = [leaf for leaf in leaves if isinstance(leaf, CircuitOpenError)]
    if not rejections or len(rejections) < len(leaves):
        return None
    return max(rejections, key=lambda rejection: _seconds(rejection, math.inf))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    pending = [error]
    while pending:
        one = pending.pop()
        if isinstance(one, BaseExceptionGroup):
            pending.extend(cast("BaseExceptionGroup[BaseException]", one).exceptions)
        else:
            yield one


def retry_after(rejection: CircuitOpenError) -> int | None:
    """Return whole seconds to wait, rounded up; None if nobody can say."""
    seconds = _seconds(rejection, math.nan)
    return math.ceil(max(0.0, seconds)) if math.isfinite(seconds) else None


def _seconds(rejection: CircuitOpenError, unknown: float) -> float:
    seconds = rejection.retry_after
    return unknown if seconds is None else float(seconds)


def answer_to(rejection: CircuitOpenError, tell: frozenset[Told]) -> Answer:
    """Return 503 with the wait, and of the breaker only what `tell` names."""
    members: dict[str, object] = {
        member: str(getattr(rejection, fact))[:_LONGEST_TEXT]
        for fact, member in _MEMBERS.items()
        if fact in tell
    }
    seconds = retry_after(rejection)
    if seconds is None:
        return problem(503, _UNAVAILABLE, members=members)
    return problem(
        503,
        f"{_UNAVAILABLE} Try again in {seconds} s.",
        headers=(("Retry-After", str(seconds)),),
        members={"retry_after": seconds, **members},
    )
