"""The user's options, as one function from how a call ended to an outcome."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from math import isfinite

from .._core.errors import RecloserError
from .._core.hints import Any, cast
from .._core.outcomes import Kind, Outcome
from .mishaps import failure_info, result_info
from .shapes import runs_later

Mishap = Callable[[str, Exception], object]
ErrorTest = type[BaseException] | Callable[[BaseException], object]
ErrorTests = ErrorTest | Iterable[ErrorTest]

_INTERRUPTIONS = (KeyboardInterrupt, SystemExit, GeneratorExit)
_ANSWERS = (StopIteration, StopAsyncIteration)
_CANCELLATIONS = (
    ("asyncio", "CancelledError"),
    ("concurrent.futures", "CancelledError"),
    ("trio", "Cancelled"),
)

SUCCESS = Outcome(Kind.SUCCESS)
NEUTRAL = Outcome(Kind.NEUTRAL)


class Matcher:
    """Exception types and predicates of one option, checked at construction."""

    __slots__ = ("predicates", "types")

    def __init__(self, option: str, tests: ErrorTests) -> None:
        """Sort the tests; refuse what is neither a type nor a predicate."""
        self.types: tuple[type[BaseException], ...] = ()
        self.predicates: tuple[Callable[[BaseException], object], ...] = ()
        for test in _each(option, tests):
            if isinstance(test, type):
                self.types += (_exception_type(option, test),)
            elif callable(test):
                _refuse_late(option, test)
                self.predicates += (test,)
            else:
                msg = f"{option} must hold exception types and predicates, got {test!r}"
                raise TypeError(msg)

    def __call__(self, error: BaseException) -> bool:
        """Tell whether the option speaks of this error. A predicate's error propagates."""
        if isinstance(error, self.types):
            return True
        return bool(self.predicates) and any(
            predicate(error) for predicate in self.predicates
        )


class Classifier:
    """How calls through one gate are judged. Immutable; used by any thread or task.

    Order: `ignore` is neutral, `successes` are successes, `failures` are failures;
    whatever is left is an answer of the dependency, hence a success. A callback of the
    user's that raises is reported to `mishap`, and the caller gets what it would have.
    """

    __slots__ = (
        "_exempts",
        "failure_result",
        "failures",
        "ignore",
        "retry_after",
        "successes",
    )

    def __init__(
        self,
        *,
        ignore: ErrorTests = (),
        successes: ErrorTests = (),
        failures: ErrorTests = (Exception,),
        failure_result: Callable[[Any], object] | None = None,
        retry_after: Callable[[Any], float | None] | None = None,
    ) -> None:
        """Check every option."""
        self.ignore: Matcher = Matcher("ignore", ignore)
        self.successes: Matcher = Matcher("successes", successes)
        self.failures: Matcher = Matcher("failures", failures)
        if not self.failures.types and not self.failures.predicates:
            msg = f"failures must not be empty (nothing could ever trip), got {failures!r}"
            raise ValueError(msg)
        exempt = (self.ignore, self.successes)
        self._exempts = any(each.types or each.predicates for each in exempt)
        self.failure_result: Any = _optional_callable("failure_result", failure_result)
        self.retry_after: Any = _optional_callable("retry_after", retry_after)

    def error(self, error: BaseException, now: float, mishap: Mishap) -> Outcome:
        """Judge a call that raised; slowness is the gate's to add."""
        kind = self._kind(error, mishap)
        if kind is Kind.FAILURE:
            hint = None if self.retry_after is None else self._hint(error, mishap)
            return Outcome(kind, False, failure_info(error, now), hint)  # noqa: FBT003 - fast
        if kind is Kind.SUCCESS:
            return SUCCESS
        return Outcome(kind, cancelled=_is_cancelled(error))

    def is_failure(self, result: object, mishap: Mishap) -> bool | None:
        """Ask `failure_result`, which is there; None if it raised: it says nothing."""
        try:
            return bool(self.failure_result(result))
        except Exception as mistake:  # noqa: BLE001 - the user's predicate; the caller gets the result
            mishap("failure_result", mistake)
            return None

    def result(self, result: object, now: float, mishap: Mishap) -> Outcome:
        """Judge a call that returned, where there is a `failure_result`."""
        failed = self.is_failure(result, mishap)
        if not failed:
            return SUCCESS if failed is False else NEUTRAL
        return self.failing(result, now, mishap)

    def failing(self, result: object, now: float, mishap: Mishap) -> Outcome:
        """Return the outcome of a failing result."""
        cause = result_info(result, now)
        return Outcome(
            Kind.FAILURE, cause=cause, retry_after=self._hint(result, mishap)
        )

    def _kind(self, error: BaseException, mishap: Mishap) -> Kind:
        if isinstance(error, BaseExceptionGroup):
            return self._group(cast("BaseExceptionGroup[BaseException]", error), mishap)
        try:
            return self._listed(error)
        except Exception as mistake:  # noqa: BLE001 - the user's predicate; the caller gets the error
            mishap("ignore, successes or failures", mistake)
            return Kind.FAILURE

    def _listed(self, error: BaseException) -> Kind:
        ordinary = isinstance(error, Exception)
        if not ordinary and (
            isinstance(error, _INTERRUPTIONS) or is_cancellation(error)
        ):
            return Kind.NEUTRAL
        if isinstance(error, RecloserError) or (ordinary and is_cancellation(error)):
            return Kind.NEUTRAL
        if self._exempts:
            if self.ignore(error):
                return Kind.NEUTRAL
            if self.successes(error):
                return Kind.SUCCESS
        if isinstance(error, _ANSWERS):
            return Kind.SUCCESS
        if isinstance(error, self.failures.types) or self.failures(error):
            return Kind.FAILURE
        return Kind.SUCCESS if ordinary else Kind.NEUTRAL

    def _group(self, group: BaseExceptionGroup[BaseException], mishap: Mishap) -> Kind:
        """Judge by the leaves: one failure makes a failure, one interruption a neutral call."""
        leaves = list(_leaves(group))
        if any(not isinstance(leaf, Exception) for leaf in leaves):
            return Kind.NEUTRAL
        kinds = {self._kind(leaf, mishap) for leaf in leaves}
        for kind in (Kind.FAILURE, Kind.SUCCESS):
            if kind in kinds:
                return kind
        return Kind.NEUTRAL

    def _hint(self, ended: object, mishap: Mishap) -> float | None:
        if self.retry_after is None:
            return None
        try:
            return valid_hint(self.retry_after(ended))
        except Exception as mistake:  # noqa: BLE001 - the user's function; a hint is optional
            mishap("retry_after", mistake)
            return None


def valid_hint(hint: object) -> float | None:
    """Return a server's hint if it is a duration; nonsense from outside is no hint."""
    if hint is None:
        return None
    total = getattr(hint, "total_seconds", None)
    seconds = float(cast("float", total() if callable(total) else hint))
    return seconds if isfinite(seconds) and seconds >= 0 else None


def is_cancellation(error: BaseException) -> bool:
    """Tell whether this is the cancellation of any library that is loaded."""
    if type(error).__name__ not in {"CancelledError", "Cancelled"} and isinstance(
        error, Exception
    ):
        return False
    return isinstance(error, _cancellation_types())


def _is_cancelled(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return any(is_cancellation(leaf) for leaf in _leaves(group))
    return is_cancellation(error)


def _cancellation_types() -> tuple[type[BaseException], ...]:
    modules = ((sys.modules.get(module), name) for module, name in _CANCELLATIONS)
    return tuple(
        getattr(module, name) for module, name in modules if hasattr(module, name)
    )


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterable[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(cast("BaseExceptionGroup[BaseException]", error))
        else:
            yield error


def _each(option: str, tests: ErrorTests) -> Iterable[object]:
    given = cast("object", tests)
    if isinstance(given, type) or (callable(given) and not isinstance(given, Iterable)):
        return (given,)
    if isinstance(given, Iterable) and not isinstance(given, str | bytes):
        return cast("Iterable[object]", given)
    msg = f"{option} must be exception types or predicates, got {tests!r}"
    raise TypeError(msg)


def _exception_type(option: str, kind: type) -> type[BaseException]:
    if not issubclass(kind, BaseException):
        msg = f"{option} must hold exception types, got {kind!r}"
        raise TypeError(msg)
    if option == "failures" and issubclass(
        kind, (*_INTERRUPTIONS, *_cancellation_types())
    ):
        msg = f"failures cannot hold {kind.__name__}: it says nothing about the dependency"
        raise ValueError(msg)
    return kind


def _optional_callable(
    option: str, value: Any
) -> Any:  # the option's own type comes back
    if value is None:
        return None
    _refuse_late(option, value)
    given: object = value
    if isinstance(given, type) and issubclass(given, BaseException):
        msg = f"{option} must be a function, got the exception type {value!r}"
        raise TypeError(msg)
    if callable(cast("object", value)):
        return value
    msg = f"{option} must be callable, got {value!r}"
    raise TypeError(msg)


def _refuse_late(option: str, value: object) -> None:
    if callable(value) and runs_later(value):
        msg = f"{option} is asked on the spot and cannot be a coroutine function or a generator, got {value!r}"
        raise TypeError(msg)


USUAL = Classifier()
"""How a breaker judges unless told otherwise; shared by all of them."""


def classifier_for(base: Classifier, **options: Any) -> Classifier:
    """Return `base`, or one with the given options (None: as there) in place of its own."""
    given = {name: value for name, value in options.items() if value is not None}
    if not given:
        return base
    settings: dict[str, Any] = {
        "failure_result": base.failure_result,
        "retry_after": base.retry_after,
    }
    for name in ("ignore", "successes", "failures"):
        matcher: Matcher = getattr(base, name)
        settings[name] = (*matcher.types, *matcher.predicates)
    return Classifier(**{**settings, **given})
