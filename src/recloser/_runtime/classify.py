"""The user's options, as one function from how a call ended to an outcome."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from math import isfinite
from .._core.hints import Any, NamedTuple, cast

from .._core.errors import RecloserError
from .._core.outcomes import FailureInfo, Kind
from .mishaps import failure_info

Mishap = Callable[[str, Exception], object]
ErrorTest = type[BaseException] | Callable[[BaseException], object]
ErrorTests = ErrorTest | Iterable[ErrorTest]

_UNCOUNTABLE = (KeyboardInterrupt, SystemExit, GeneratorExit)
_CANCELLATIONS = {"asyncio": "CancelledError", "concurrent.futures": "CancelledError", "trio": "Cancelled"}
_ANSWERS = (StopIteration, StopAsyncIteration)


class Verdict(NamedTuple):
    """What one ending says, before slowness is known."""

    kind: Kind
    cause: FailureInfo | None = None
    retry_after: float | None = None
    cancelled: bool = False


SUCCESS = Verdict(Kind.SUCCESS)
NEUTRAL = Verdict(Kind.NEUTRAL)


class Matcher:
    """Exception types and predicates of one option, checked at construction."""

    __slots__ = ("_option", "predicates", "types")

    def __init__(self, option: str, tests: ErrorTests) -> None:
        """Sort the tests; refuse what is neither a type nor a predicate."""
        self._option = option
        self.types: tuple[type[BaseException], ...] = ()
        self.predicates: tuple[Callable[[BaseException], object], ...] = ()
        for test in _each(option, tests):
            if isinstance(test, type):
                self.types += (_exception_type(option, test),)
            elif callable(test):
                self.predicates += (test,)
            else:
                msg = f"{option} must hold exception types and predicates, got {test!r}"
                raise TypeError(msg)

    def __call__(self, error: BaseException) -> bool:
        """Tell whether the option speaks of this error. A predicate's error propagates."""
        if isinstance(error, self.types):
            return True
        return any(predicate(error) for predicate in self.predicates)


class Classifier:
    """How calls through one guard are judged. Immutable; used by any thread or task.

    Order: `ignore` is neutral, `successes` are successes, `failures` are failures;
    whatever is left is an answer of the dependency, hence a success.
    """

    __slots__ = ("_mishap", "failure_result", "failures", "ignore", "retry_after", "successes")

    def __init__(
        self,
        mishap: Mishap,
        *,
        ignore: ErrorTests = (),
        successes: ErrorTests = (),
        failures: ErrorTests = (Exception,),
        failure_result: Callable[[Any], object] | None = None,
        retry_after: Callable[[Any], float | None] | None = None,
    ) -> None:
        """Check every option."""
        self._mishap = mishap
        self.ignore = Matcher("ignore", ignore)
        self.successes = Matcher("successes", successes)
        self.failures = Matcher("failures", failures)
        if not self.failures.types and not self.failures.predicates:
            msg = f"failures must not be empty (nothing could ever trip), got {failures!r}"
            raise ValueError(msg)
        self.failure_result = _optional_callable("failure_result", failure_result)
        self.retry_after = _optional_callable("retry_after", retry_after)

    def error(self, error: BaseException, now: float) -> Verdict:
        """Judge a call that raised."""
        kind = self._kind(error)
        if kind is not Kind.FAILURE:
            return Verdict(kind, cancelled=kind is Kind.NEUTRAL and is_cancellation(error))
        return Verdict(kind, failure_info(error, now), self._hint(error))

    def is_failure(self, result: object) -> bool | None:
        """Ask `failure_result`; None if it raised: that result says nothing."""
        if self.failure_result is None:
            return False
        try:
            return bool(self.failure_result(result))
        except Exception as mistake:  # noqa: BLE001 - the user's predicate; the caller gets the result
            self._mishap("failure_result", mistake)
            return None

    def result(self, result: object, now: float) -> Verdict:
        """Judge a call that returned."""
        failed = self.is_failure(result)
        if not failed:
            return SUCCESS if failed is False else NEUTRAL
        return self.failing(result, now)

    def failing(self, result: object, now: float) -> Verdict:
        """Return what a failing result says."""
        cause = FailureInfo(type=type(result).__name__, message="a failing result", at=now)
        return Verdict(Kind.FAILURE, cause, self._hint(result))

    def _kind(self, error: BaseException) -> Kind:
        if isinstance(error, BaseExceptionGroup):
            return self._group(error)
        try:
            return self._listed(error)
        except Exception as mistake:  # noqa: BLE001 - the user's predicate; the caller gets the error
            self._mishap("ignore, successes or failures", mistake)
            return Kind.FAILURE

    def _listed(self, error: BaseException) -> Kind:
        if is_cancellation(error) or isinstance(error, (*_UNCOUNTABLE, RecloserError)):
            return Kind.NEUTRAL
        if self.ignore(error):
            return Kind.NEUTRAL
        if isinstance(error, _ANSWERS) or self.successes(error):
            return Kind.SUCCESS
        if self.failures(error):
            return Kind.FAILURE
        return Kind.SUCCESS if isinstance(error, Exception) else Kind.NEUTRAL

    def _group(self, group: BaseExceptionGroup[BaseException]) -> Kind:
        """Judge by the leaves: one failure makes a failure, one interruption a neutral call."""
        leaves = list(_leaves(group))
        if any(not isinstance(leaf, Exception) for leaf in leaves):
            return Kind.NEUTRAL
        kinds = {self._kind(leaf) for leaf in leaves}
        for kind in (Kind.FAILURE, Kind.SUCCESS):
            if kind in kinds:
                return kind
        return Kind.NEUTRAL

    def _hint(self, ended: object) -> float | None:
        if self.retry_after is None:
            return None
        try:
            return valid_hint(self.retry_after(ended))
        except Exception as mistake:  # noqa: BLE001 - the user's function; a hint is optional
            self._mishap("retry_after", mistake)
            return None


def valid_hint(hint: object) -> float | None:
    """Return a server's hint if it is a duration; nonsense from outside is no hint."""
    if hint is None:
        return None
    total = getattr(hint, "total_seconds", None)
    seconds = float(cast("float", total() if callable(total) else hint))
    return seconds if isfinite(seconds) and seconds >= 0 else None


def is_cancellation(error: BaseException) -> bool:
    """Tell whether the call was cancelled, in any library that is loaded."""
    if isinstance(error, Exception) and type(error).__name__ != "CancelledError":
        return False
    return isinstance(error, _cancellation_types())


def _cancellation_types() -> tuple[type[BaseException], ...]:
    modules = ((sys.modules.get(module), name) for module, name in _CANCELLATIONS.items())
    return tuple(getattr(module, name) for module, name in modules if hasattr(module, name))


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterable[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _each(option: str, tests: ErrorTests) -> Iterable[object]:
    given: object = tests
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
    if option == "failures" and issubclass(kind, (*_UNCOUNTABLE, *_cancellation_types())):
        msg = f"failures cannot hold {kind.__name__}: it says nothing about the dependency"
        raise ValueError(msg)
    return kind


def _optional_callable(option: str, value: Any) -> Any:  # the option's own type comes back
    if value is None or callable(value):
        return value
    msg = f"{option} must be callable, got {value!r}"
    raise TypeError(msg)
