"""Retrying with tenacity, without hammering an open circuit.

    @retry(
        retry=retry_unless_open(),
        wait=wait_exponential_jitter(),
        stop=stop_after_attempt(4) | stop_when_spent(RetryBudget(payments)),
        reraise=True,
    )
    @payments
    def charge(amount: int) -> Receipt: ...

The order decides what counts. `@retry` above the breaker, as here: each try is admitted and
counted, and an open circuit ends the loop. `@retry` below it, inside the guarded
function: all tries are one call, which fails when the last of them does.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, final

from .. import RetryBudget
from ._causes import is_rejected, pause
from ._causes import longest_wait as checked
from ._extras import extra
from ._kinds import check

with extra("tenacity", tenacity="8.5"):
    import tenacity
    from tenacity.retry import retry_base
    from tenacity.stop import stop_base
    from tenacity.wait import wait_base

if TYPE_CHECKING:
    from collections.abc import Callable

    State = tenacity.RetryCallState
    Retry = retry_base | Callable[[State], bool]
    Wait = wait_base | Callable[[State], float | int]

__all__ = ["ignore", "retry_unless_open", "stop_when_spent", "wait_retry_after"]


@final
class retry_unless_open(retry_base):  # noqa: N801 - as tenacity names its own
    """Retries what another strategy retries, but no rejection.

    A rejection comes out as it is, at once. An error that was raised from one
    (`raise APIConnectionError from rejection`) is one, too. Share it at will.

    Args:
        retry: What to retry otherwise. Default every `Exception`.
        longest_wait: Retry a rejection, too, if its `retry_after` is at most so many
            seconds. Take `wait_retry_after` as `wait=` with it. Default None: never.

    Raises:
        TypeError: `retry` is a coroutine function, or not callable.
        ValueError: `longest_wait` is not more than 0.
    """

    def __init__(
        self, retry: Retry | None = None, *, longest_wait: float | None = None
    ) -> None:
        """Check both."""
        otherwise = tenacity.retry_if_exception_type() if retry is None else retry
        call = getattr(otherwise, "__call__", None)  # noqa: B004 - its kind matters
        if call is None or any(map(inspect.iscoroutinefunction, (otherwise, call))):
            msg = f"retry must be a plain retry strategy, got {retry!r}"
            raise TypeError(msg)
        self._otherwise = otherwise
        self._longest = checked(longest_wait)

    def __call__(self, retry_state: State) -> bool:
        """Tell whether to try again."""
        error = _error_of(retry_state)
        if error is not None and is_rejected(error):
            return pause(error, self._longest) is not None
        return bool(self._otherwise(retry_state))


@final
class wait_retry_after(wait_base):  # noqa: N801 - as tenacity names its own
    """Waits after a rejection until a call may be admitted, else as another strategy does.

    Where you hold the breaker, its own waiting is better: `breaker(wait=10)` wakes when a
    place is free, one caller for each.

    Args:
        wait: How long to wait otherwise, and at least. Default no time.
    """

    def __init__(self, wait: Wait | None = None) -> None:
        """Take the other strategy."""
        self._otherwise = tenacity.wait_none() if wait is None else wait

    def __call__(self, retry_state: State) -> float:
        """Return the seconds to wait."""
        usual = self._otherwise(retry_state)
        error = _error_of(retry_state)
        asked = None if error is None else pause(error, float("inf"))
        return usual if asked is None else max(usual, asked)


@final
class stop_when_spent(stop_base):  # noqa: N801 - as tenacity names its own
    """Stops when a budget allows no retry; asking takes one from it.

    Put it last (`stop_after_attempt(4) | stop_when_spent(budget)`): what stands before it
    stops the loop without taking a retry that is never made.

    Args:
        budget: Whose retries these are. Share it between loops.
    """

    def __init__(self, budget: RetryBudget) -> None:
        """Take the budget."""
        check("budget", budget, RetryBudget)
        self._budget = budget

    def __call__(self, retry_state: State) -> bool:  # noqa: ARG002 - as tenacity calls it
        """Tell whether to stop."""
        return not self._budget.take()


def ignore(error: BaseException) -> bool:
    """Tell whether an error says nothing: a rejection, or a loop that ended with one.

    For a breaker around a loop: `CircuitBreaker("api", ignore=ignore)`.
    """
    if isinstance(error, tenacity.RetryError) and error.last_attempt.failed:
        last = error.last_attempt.exception()
        return last is not None and ignore(last)
    return is_rejected(error)


def _error_of(retry_state: State) -> BaseException | None:
    outcome = retry_state.outcome
    return outcome.exception() if outcome is not None and outcome.failed else None
