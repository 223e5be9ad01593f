"""Retrying with stamina, without hammering an open circuit.

    @stamina.retry(on=unless_open(ConnectionError, budget=RetryBudget(payments)))
    @payments
    def charge(amount: int) -> Receipt: ...

The order decides what counts. `@stamina.retry` above the breaker, as here: each try is
admitted and counted, and an open circuit ends the loop. Below it, inside the guarded
function: all tries are one call, which fails when the last of them does.
"""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, cast

from .. import RetryBudget
from ._causes import is_rejected, pause
from ._causes import longest_wait as checked
from ._extras import extra
from ._kinds import check

with extra("stamina", stamina="25.2"):
    import stamina  # noqa: F401  # pyright: ignore[reportUnusedImport] - is it there?

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    Hook = Callable[[Exception], bool | float | timedelta]
    On = type[Exception] | tuple[type[Exception], ...] | Hook

__all__ = ["ignore", "unless_open"]

ignore = is_rejected


def unless_open(
    on: On = Exception,
    *,
    longest_wait: float | None = None,
    budget: RetryBudget | None = None,
) -> Hook:
    """Return what to retry `on`: what is given, but no rejection.

    A rejection comes out as it is, at once. An error that was raised from one
    (`raise APIConnectionError from rejection`) is one, too. Share the result at will.

    Args:
        on: Exception types, or a function of the error, as `stamina.retry` takes them.
        longest_wait: Retry a rejection, too, if its `retry_after` is at most so many
            seconds; the loop then waits for so long. Default None: never.
        budget: Allows each retry of a failure. stamina asks before it looks at its own
            limits, so the last failure of a loop takes one more than it makes.

    Raises:
        TypeError: `on` is neither types nor a function, or `longest_wait` no number,
            or the budget none.
        ValueError: `longest_wait` is not more than 0.
    """
    wants = _hook(on)
    longest = checked(longest_wait)
    check("budget", budget, RetryBudget, NoneType)

    def decide(error: Exception) -> bool | float | timedelta:
        if is_rejected(error):
            wait = pause(error, longest)
            return False if wait is None else wait
        wanted = wants(error)
        if wanted is False or budget is None:
            return wanted
        return budget.take() and wanted

    return decide


def _hook(on: On) -> Hook:
    given: object = on
    kinds = cast("tuple[object, ...]", given if isinstance(given, tuple) else (given,))
    if all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds):
        types = cast("tuple[type[Exception], ...]", kinds)
        return lambda error: isinstance(error, types)
    if isinstance(on, type | tuple) or not callable(cast("object", on)):
        msg = f"on must be exception types or a function, got {on!r}"
        raise TypeError(msg)
    return on
