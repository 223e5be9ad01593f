"""Celery: tasks behind a breaker, retried when the circuit may let them through.

    @app.task(base=guard(breaker, retry=True))
    def charge(amount): ...

Each run of a task is one call. A rejected run costs none of the task's `max_retries`.
A breaker lives in its process: give it `share=` if the processes of a prefork worker are
to have one verdict.
"""

from __future__ import annotations

from math import isfinite
from random import random
from typing import TYPE_CHECKING, Any, Final

from .. import CircuitBreaker, CircuitOpenError, Guard, Permit
from ._extras import extra
from ._kinds import check_breaker

with extra("celery", celery="5.3.6"):
    from celery import Task
    from celery.exceptions import Reject, Retry, TaskPredicate

if TYPE_CHECKING:
    _AnyTask = Task[Any, Any]  # only the stubs know that it is generic
else:
    _AnyTask = Task

__all__ = ["failures", "guard", "ignore", "successes"]

_SPREAD: Final = 0.1
"""How much later, at most, as a fraction: what was rejected together comes apart."""

_SHORTEST: Final = 0.1  # seconds; a place may come free at once, but not this run's


def failures(error: BaseException) -> bool:
    """Tell whether a task failed: by any `Exception` but Celery's own ways to end one.

    A `Retry` is judged by the error that caused it. So are tasks with `autoretry_for`.
    Around `task.delay` it counts a broker that is out of reach.
    """
    cause = _cause(error)
    return isinstance(cause, Exception) and not isinstance(cause, TaskPredicate)


def successes(error: BaseException) -> bool:
    """Tell whether an error is an answer: none is."""
    return isinstance(error, StopIteration)


def ignore(error: BaseException) -> bool:
    """Tell whether a task ended by `Ignore`, `Reject` or a `Retry` without an error."""
    return isinstance(_cause(error), TaskPredicate)


def _cause(error: BaseException) -> BaseException:
    """Return the error behind a `Retry`; what could not be pickled is its context."""
    if not isinstance(error, Retry):
        return error
    given: object = error.exc
    if not isinstance(given, BaseException):
        return error
    wrapped = type(given).__name__ == "UnpickleableExceptionWrapper"
    return (error.__context__ or given) if wrapped else given


def guard(
    breaker: CircuitBreaker | Guard,
    *,
    retry: bool = False,
    forced_wait: float = 60.0,
    base: type[_AnyTask] = Task,
) -> type[_AnyTask]:
    """Return a base class for tasks whose runs are guarded.

    The breaker's own lists judge, and see the cause of a `Retry`. `Ignore`, `Reject` and
    a `Retry` without an error are neutral whatever they say. `failure_result` is not
    asked: a task that failed raises.

    Args:
        breaker: Whose circuit it is.
        retry: Send a rejected task again for the time when the circuit may let it
            through, up to a tenth later, instead of failing it. It costs none of its
            retries, and goes on until the task expires. Called directly or eagerly, a
            task always raises the rejection. Default False.
        forced_wait: Seconds, > 0, for which a task waits whose circuit is forced open,
            where nobody knows how long. Default 60.
        base: The class to begin with. Default `celery.Task`.

    Raises:
        ValueError: `forced_wait` is out of range.
        TypeError: It is no breaker.
    """
    check_breaker(breaker)
    if not (isfinite(forced_wait) and forced_wait > 0):
        msg = f"forced_wait must be > 0 and finite, got {forced_wait!r}"
        raise ValueError(msg)

    class GuardedTask(base):  # type: ignore[valid-type, misc]  # pyright: ignore[reportGeneralTypeIssues, reportUntypedBaseClass] - chosen at run time
        """A task whose runs are guarded."""

        abstract = True

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            direct = self.request.called_directly
            try:
                permit = breaker.acquire()
            except CircuitOpenError as rejection:
                if not retry or direct or self.request.is_eager:
                    raise
                raise _sent_again(self, rejection, forced_wait) from None
            # What a worker runs has its request already; a direct call needs one.
            run = super().__call__ if direct else self.run
            return _judged(permit, run, args, kwargs)

    return GuardedTask


def _judged(permit: Permit, run: Any, args: Any, kwargs: Any) -> Any:
    try:
        result = run(*args, **kwargs)
    except BaseException as error:
        if ignore(error):
            permit.release()
        else:
            permit.settle(_cause(error))
        raise
    permit.settle()
    return result


def _sent_again(
    task: _AnyTask, rejection: CircuitOpenError, forced_wait: float
) -> Exception:
    """Send a task again, as `Task.retry` does, but with as many retries left as before."""
    known = rejection.retry_after
    wait = max(forced_wait if known is None else known, _SHORTEST)
    countdown = wait * (1 + _SPREAD * random())  # noqa: S311 - jitter is no secret
    again: Any = task.signature_from_request(
        countdown=countdown, retries=task.request.retries
    )
    try:
        again.apply_async()
    except Exception as error:  # noqa: BLE001 - the broker's; as in `Task.retry`
        return Reject(error, requeue=False)
    when: Any = countdown  # the stubs ask for a `Real`, which no float is to them
    return Retry(exc=rejection, when=when, sig=again)
