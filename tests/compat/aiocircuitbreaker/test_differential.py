"""The genuine aiocircuitbreaker and ours, through the same random sequences.

Can find any difference in results, errors, counts, states and times as long as one call
runs at a time; what differs where calls overlap is in test_overlap.py. Hypothesis shrinks
what it finds to the shortest sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import ModuleType
from typing import Any, Final
from unittest.mock import AsyncMock

import pytest
from aiocircuitbreaker import aiocircuitbreaker as genuine
from hypothesis import given, settings
from hypothesis import strategies as st

from recloser.compat.aiocircuitbreaker import aiocircuitbreaker as ours
from tests.compat.still_clock import StillClock
from tests.compat.streaks_run import (
    ENDS,
    WAITS,
    Refused,
    VeryRefused,
    attempt,
    coroutine,
    finish,
    plain,
    seen,
)

SEQUENCES: Final = 20 * settings().max_examples

EXPECTATIONS: Final = {
    "default": None,
    "a class": Refused,
    "classes": (Refused, KeyError),
    "a list": [VeryRefused],
    "no classes": (),
    "a predicate": lambda kind, error: True,
    "everything": BaseException,
}
FALLBACKS: Final[dict[str, Any]] = {
    "none": None,
    "plain": plain("ok", []),
    "plain, broken": plain("KeyError", []),
    "coroutine": coroutine("ok", []),
    "coroutine, cancelled": coroutine("CancelledError", []),
    "mock": AsyncMock(return_value="mocked"),
}
CLASSES: Final = (*["CircuitBreaker"] * 5, "Settings", "Heir", "Times", *["Method"] * 2)
OVERRIDDEN: Final = ("call", "__exit__", "state", "opened")

options = st.fixed_dictionaries(
    {
        "failure_threshold": st.sampled_from((1, 2, 3, 0, None)),
        "recovery_timeout": st.sampled_from((1, 2.5, 0, None, -1)),
        "expected_exception": st.sampled_from(("default",) * 6 + tuple(EXPECTATIONS)),
        "name": st.sampled_from(("", "a name")),
        "fallback_function": st.sampled_from(("none", "none", *FALLBACKS)),
        "class": st.sampled_from(CLASSES),
        "overridden": st.sampled_from(OVERRIDDEN),
    }
)
actions = st.one_of(
    st.tuples(
        st.just("call"),
        st.sampled_from(("decorated", "decorated", "decorated", "call", "block")),
        ENDS,
    ),
    st.tuples(st.just("wait"), WAITS),
    st.tuples(
        st.just("write"),
        st.sampled_from(("_state", "_last_failure", "_failure_count")),
        st.integers(0, 2),
    ),
    st.tuples(st.just("open just now")),
    st.tuples(st.just("error")),
)


def subclass(module: ModuleType, options: dict[str, Any], log: list[Any]) -> Any:
    """Return a breaker class as users write them."""
    base: Any = module.CircuitBreaker

    class Settings(base):  # type: ignore[misc]
        FAILURE_THRESHOLD = 2
        RECOVERY_TIMEOUT = 1
        EXPECTED_EXCEPTION = Refused

        def FALLBACK_FUNCTION(self, *args: Any, **kwargs: Any) -> Any:  # noqa: N802
            log.append(("fallback of the class", args))
            return "instead"

    class Heir(Settings):
        pass

    class Times(base):  # type: ignore[misc]
        @property
        def open_remaining(self) -> float:
            return float(super().open_remaining) - 0.5

    class Method(base):  # type: ignore[misc]
        async def call(self, func: Any, *args: Any, **kwargs: Any) -> Any:
            log.append("call")
            return await super().call(func, *args, **kwargs)

        def __exit__(self, *how: object) -> Any:
            log.append(("exit", how[0]))
            return super().__exit__(*how)

        @property
        def state(self) -> Any:
            log.append("state")
            return super().state

        @property
        def opened(self) -> Any:
            log.append("opened")
            return super().opened

    for other in set(OVERRIDDEN) - {options["overridden"]}:
        delattr(Method, other)
    classes = {"Settings": Settings, "Heir": Heir, "Times": Times, "Method": Method}
    return classes.get(options["class"], base)


class Run:
    """One breaker, and everything that can be seen of it."""

    def __init__(
        self, module: ModuleType, options: dict[str, Any], clock: StillClock
    ) -> None:
        self.log: list[Any] = []
        self.module = module
        self.clock = clock
        self.breaker = subclass(module, options, self.log)(
            failure_threshold=options["failure_threshold"],
            recovery_timeout=options["recovery_timeout"],
            expected_exception=EXPECTATIONS[options["expected_exception"]],
            name=options["name"],
            fallback_function=FALLBACKS[options["fallback_function"]],
        )

    def step(self, action: tuple[Any, ...]) -> Any:
        del self.log[:]
        return attempt(lambda: self.act(*action)), self.picture(), list(self.log)

    def act(self, what: str, *details: Any) -> Any:
        if what == "call":
            return self.call(*details)
        if what == "write":
            name, number = details
            setattr(self.breaker, name, self.written(name)[number])
        elif what == "open just now":
            self.breaker._state = self.module.State.OPEN
            self.breaker._opened = self.clock.datetime.utcnow()
        elif what == "error":
            return seen(self.module.CircuitBreakerError(self.breaker, 1, "two"))
        return None

    def written(self, name: str) -> tuple[Any, ...]:
        return {
            "_state": tuple(self.module.State),
            "_last_failure": (None, Refused("written"), KeyError()),
            "_failure_count": (0, 1, 2),
        }[name]

    def call(self, way: str, how: str) -> Any:
        function = coroutine(how, self.log)
        if way == "block":
            with self.breaker as entered:
                assert entered is None
                return plain(how, self.log)()
        run: Callable[..., Any] = self.breaker(function)
        if way == "call":
            return finish(self.breaker.call(function, 1, two=2))
        return finish(run(1, two=2))

    def picture(self) -> Any:
        breaker = self.breaker
        return (
            attempt(lambda: breaker.state.value),
            attempt(lambda: breaker.opened),
            attempt(lambda: breaker.closed),
            breaker.failure_count,
            seen(breaker.last_failure),
            breaker.open_remaining,
            breaker.open_until,
            breaker.name,
            breaker._state.value,
        )


@pytest.fixture(scope="module", autouse=True)
def clock() -> Generator[StillClock]:
    clock = StillClock()
    with pytest.MonkeyPatch.context() as patch:
        clock.replace_clocks_of(genuine, ours, patch=patch)
        yield clock


@settings(max_examples=SEQUENCES)
@given(options, st.lists(actions, max_size=30))
def test_one_call_at_a_time_nobody_can_tell_it_from_the_original(
    clock: StillClock, options: dict[str, Any], actions: list[tuple[Any, ...]]
) -> None:
    theirs, mine = Run(genuine, options, clock), Run(ours, options, clock)

    for action in actions:
        if action[0] == "wait":
            clock.advance(action[1])
        expected, actual = theirs.step(action), mine.step(action)

        assert actual == expected
