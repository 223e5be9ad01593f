"""Errors in the user's own callbacks: logged, counted, shown to tests; never raised.

The breaker must not change what the caller of a guarded function gets, so a predicate
or listener that raises is reported here instead.
"""

from __future__ import annotations

from .._core.hints import TYPE_CHECKING
from .._core.outcomes import FailureInfo

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_MESSAGE = 200

witnesses: list[Callable[[str, str, Exception], object]] = []
"""Called with the breaker's name, the callback's option and the error (by our pytest plugin)."""


def failure_info(error: BaseException, at: float) -> FailureInfo:
    """Return what is remembered of an exception: no frames, a short text."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an exception whose text cannot be made is still a failure
        text = "(its text cannot be made)"
    return FailureInfo(
        type=type(error).__name__, message=text[:_LONGEST_MESSAGE], at=at
    )


def result_info(result: object, at: float) -> FailureInfo:
    """Return what is remembered of a failing result: its type, and what it shows."""
    try:
        text = repr(result)
    except Exception:  # noqa: BLE001 - a result that cannot be shown is still a failure
        text = "(it cannot be shown)"
    return FailureInfo(
        type=type(result).__name__, message=text[:_LONGEST_MESSAGE], at=at
    )


def report(name: str, callback: str, error: Exception, at: float) -> FailureInfo:
    """Log at ERROR on `recloser`, and tell the witnesses."""
    import logging  # here, so that importing the package does not

    logging.getLogger("recloser").error(
        "breaker %r: its %s raised", name, callback, exc_info=error
    )
    for witness in witnesses:
        witness(name, callback, error)
    return failure_info(error, at)
