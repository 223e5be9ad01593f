"""The genuine circuitbreaker and ours, through the same random sequences, step by step.

Can find any difference in results, errors, counts, states, times and names as long as
one call runs at a time; what differs where calls overlap is in test_overlap.py.
Hypothesis shrinks what it finds to the shortest sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import ModuleType
from typing import Any, Final

import circuitbreaker as genuine
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recloser.compat import circuitbreaker as ours
from tests.compat.still_clock import StillClock
from tests.compat.streaks_run import (
    CONSUMPTIONS,
    ENDS,
    SHAPES,
    WAITS,
    Refused,
    VeryRefused,
    attempt,
    blows_up,
    consume,
    consume_async,
    finish,
    seen,
    spares_very_refused,
)

SEQUENCES: Final = 20 * settings().max_examples

EXPECTATIONS: Final = {
    "default": None,
    "a class": Refused,
    "classes": (Refused, KeyError),
    "a list": [VeryRefused],
    "no classes": (),
    "a class and nonsense": [Refused, "nonsense"],
    "a predicate": spares_very_refused,
    "a broken predicate": blows_up,
}
OFTEN_DEFAULT: Final = ("default",) * 6 + tuple(EXPECTATIONS)
FALLBACKS: Final = {
    "none": None,
    "ok": "ok",
    "broken": "KeyError",
    "cancelled": "CancelledError",
}
CLASSES: Final = (
    *["CircuitBreaker"] * 5,
    "Settings",
    "Times",
    "call",
    "call_async",
    "reset",
    "__exit__",
    "state",
)

options = st.fixed_dictionaries(
    {
        "failure_threshold": st.sampled_from((1, 2, 3, 0, None)),
        "recovery_timeout": st.sampled_from((1, 2.5, 0, None, -1)),
        "expected_exception": st.sampled_from(OFTEN_DEFAULT),
        "name": st.sampled_from((None, "", "a name")),
        "fallback_function": st.sampled_from(("none", "none", *FALLBACKS)),
        "shape": st.sampled_from(sorted(SHAPES)),
        "class": st.sampled_from(CLASSES),
    }
)
actions = st.one_of(
    st.tuples(
        st.just("call"),
        st.sampled_from(("decorated", "decorated", "decorated", "call", "block")),
        ENDS,
        st.sampled_from(CONSUMPTIONS),
    ),
    st.tuples(st.just("wait"), WAITS),
    st.tuples(st.just("reset")),
    st.tuples(
        st.just("write"),
        st.sampled_from(("_state", "_last_failure", "_failure_count", "_name")),
        st.integers(0, 2),
    ),
    st.tuples(st.just("error")),
)
WRITTEN: Final = {
    "_state": ("closed", "open", "half_open"),
    "_last_failure": (None, Refused("written"), KeyError()),
    "_failure_count": (0, 1, 2),
    "_name": (None, "", "written"),
}


def subclass(module: ModuleType, kind: str, log: list[Any]) -> Any:
    """Return a breaker class as users write them."""
    base: Any = module.CircuitBreaker
    if kind == "Settings":

        class Settings(base):  # type: ignore[misc]
            FAILURE_THRESHOLD = 2
            RECOVERY_TIMEOUT = 1
            EXPECTED_EXCEPTION = spares_very_refused

            def FALLBACK_FUNCTION(self, *args: Any) -> Any:  # noqa: N802
                log.append(("fallback of the class", args))
                return "instead"

        return Settings
    if kind == "Times":

        class Times(base):  # type: ignore[misc]
            @property
            def open_remaining(self) -> int:
                return int(super().open_remaining) - 1

        return Times
    return with_a_method_of_its_own(base, kind, log)


def with_a_method_of_its_own(base: Any, name: str, log: list[Any]) -> Any:
    class Noisy(base):  # type: ignore[misc]
        def call(self, func: Any, *args: Any, **kwargs: Any) -> Any:
            log.append("call")
            return super().call(func, *args, **kwargs)

        async def call_async(self, func: Any, *args: Any, **kwargs: Any) -> Any:
            log.append("call_async")
            return await super().call_async(func, *args, **kwargs)

        def reset(self) -> None:
            log.append("reset")
            super().reset()

        def __exit__(self, *how: object) -> Any:
            log.append(("exit", how[0]))
            return super().__exit__(*how)

        @property
        def state(self) -> str:
            log.append("state")
            return str(super().state)

    for other in {"call", "call_async", "reset", "__exit__", "state"} - {name}:
        delattr(Noisy, other)
    return Noisy


class Run:
    """One breaker, one function of one shape, and everything that can be seen."""

    def __init__(self, module: ModuleType, options: dict[str, Any]) -> None:
        self.log: list[Any] = []
        self.module = module
        self.shape = options["shape"]
        module.CircuitBreakerMonitor.circuit_breakers = {}
        fallback = FALLBACKS[options["fallback_function"]]
        self.breaker = subclass(module, options["class"], self.log)(
            failure_threshold=options["failure_threshold"],
            recovery_timeout=options["recovery_timeout"],
            expected_exception=EXPECTATIONS[options["expected_exception"]],
            name=options["name"],
            fallback_function=fallback and SHAPES[self.shape](fallback, self.log),
        )

    def step(self, action: tuple[Any, ...]) -> Any:
        del self.log[:]
        return attempt(lambda: self.act(*action)), self.picture(), list(self.log)

    def act(self, what: str, *details: Any) -> Any:
        if what == "call":
            return self.call(*details)
        if what == "write":
            name, number = details
            setattr(self.breaker, name, WRITTEN[name][number])
        elif what == "error":
            return seen(self.module.CircuitBreakerError(self.breaker, 1, "two"))
        elif what == "reset":
            return self.breaker.reset()
        return None

    def call(self, way: str, how: str, consumption: str) -> Any:
        function = SHAPES[self.shape](how, self.log)
        if way == "block":
            with self.breaker as entered:
                assert entered is None
                return SHAPES["plain"](how, self.log)()
        run = self.breaker(function) if way == "decorated" else self.plainly(function)
        return USES[self.shape](run(1, two=2), consumption)

    def plainly(self, function: Callable[..., Any]) -> Callable[..., Any]:
        method = getattr(self.breaker, METHODS[self.shape])
        return lambda *args, **kwargs: method(function, *args, **kwargs)

    def picture(self) -> Any:
        breaker, monitor = self.breaker, self.module.CircuitBreakerMonitor
        known = monitor.circuit_breakers
        return (
            attempt(lambda: breaker.state),
            attempt(lambda: breaker.opened),
            attempt(lambda: breaker.closed),
            breaker.failure_count,
            seen(breaker.last_failure),
            breaker.open_remaining,
            breaker.open_until,
            breaker.name,
            str(breaker),
            breaker._state,
            list(known),
            monitor.all_closed(),
            [one.name for one in monitor.get_open()],
            [one.name for one in monitor.get_closed()],
        )


METHODS: Final = {
    "plain": "call",
    "coroutine": "call_async",
    "generator": "call_generator",
    "async generator": "call_async_generator",
}
USES: Final[dict[str, Callable[[Any, str], Any]]] = {
    "plain": lambda result, _: result,
    "coroutine": lambda result, _: finish(result),
    "generator": consume,
    "async generator": consume_async,
}


@pytest.fixture(scope="module", autouse=True)
def clock() -> Generator[StillClock]:
    clock = StillClock()
    with pytest.MonkeyPatch.context() as patch:
        clock.replace_clocks_of(genuine, ours, patch=patch)
        yield clock


# An async generator that is dropped half-way ends where nobody can catch a predicate's
# error, in the original as in ours.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@settings(max_examples=SEQUENCES)
@given(options, st.lists(actions, max_size=30))
def test_one_call_at_a_time_nobody_can_tell_it_from_the_original(
    clock: StillClock, options: dict[str, Any], actions: list[tuple[Any, ...]]
) -> None:
    theirs, mine = Run(genuine, options), Run(ours, options)

    for action in actions:
        if action[0] == "wait":
            clock.advance(action[1])
        expected, actual = theirs.step(action), mine.step(action)

        assert actual == expected
