"""Random sequences for a breaker with aiobreaker's interface, and what can be seen."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from types import ModuleType
from typing import Any, Final

from hypothesis import strategies as st


class Refused(Exception):
    pass


class VeryRefused(Refused):
    pass


class Meta(type):
    pass


class Odd(Exception, metaclass=Meta):
    pass


EXCEPTIONS: Final = (
    Refused,
    VeryRefused,
    KeyError,
    Odd,
    KeyboardInterrupt,
    asyncio.CancelledError,
    GeneratorExit,
)
EXCLUSIONS: Final = {
    "refused": Refused,
    "very refused": VeryRefused,
    "odd": Odd,
    "everything": BaseException,
    "by text": lambda error: "spare me" in error.args,
    "nonsense": 5,
    "broken": lambda error: error.missing,
}
NAMES: Final = ("OPEN", "HALF_OPEN", "CLOSED")


class RecordingBooks:
    """A storage as users write them, which notes what is written and fails if told to."""

    def __init__(self, log: list[Any], state: Any) -> None:
        self.log = log
        self.values = {"state": state, "opened_at": None, "counter": 0}
        self.broken = ""

    def use(self, how: str) -> None:
        if how == self.broken:
            raise ConnectionError(how)

    def increment_counter(self) -> None:
        self.write("counter", self.values["counter"] + 1)

    def reset_counter(self) -> None:
        self.write("counter", 0)

    def write(self, name: str, value: Any) -> None:
        self.use(f"write {name}")
        self.log.append(f"write {name} {shown(value)}")
        self.values[name] = value

    def read(self, name: str) -> Any:
        self.use(f"read {name}")
        return self.values[name]

    counter = property(lambda self: self.read("counter"))
    state = property(
        lambda self: self.read("state"),
        lambda self, value: self.write("state", value),
    )
    opened_at = property(
        lambda self: self.read("opened_at"),
        lambda self, value: self.write("opened_at", value),
    )


def recording_storage(package: ModuleType, log: list[Any], state: Any) -> Any:
    base = package.storage.base.CircuitBreakerStorage
    return type("Storage", (RecordingBooks, base), {})(log, state)


def recording_listener(package: ModuleType, log: list[Any], raises: str) -> Any:
    """Return a listener that notes what it hears, and raises on hearing one thing."""

    class Listener(package.CircuitBreakerListener):  # type: ignore[name-defined]
        def hear(self, breaker: Any, what: str) -> None:
            log.append((what, shown(breaker.current_state), breaker.fail_counter))
            if raises and what.startswith(raises):
                raise LookupError(what)

        def before_call(
            self, breaker: Any, func: Any, *args: Any, **kwargs: Any
        ) -> None:
            self.hear(breaker, f"before {args} {kwargs}")

        def failure(self, breaker: Any, exception: BaseException) -> None:
            self.hear(breaker, f"failure {exception!r}")

        def success(self, breaker: Any) -> None:
            self.hear(breaker, "success")

        def state_change(self, breaker: Any, old: Any, new: Any) -> None:
            self.hear(breaker, f"change {old.state.name} to {new.state.name}")

    return Listener()


def shown(value: Any) -> Any:
    """Return what is the same in both libraries."""
    return getattr(value, "name", value)


def yields(*args: Any, **kwargs: Any) -> Generator[Any, Any, str]:
    try:
        sent = yield args
        yield sent, kwargs
    except VeryRefused as error:
        message = "translated"
        raise ValueError(message) from error
    return "lost"


def driven(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that waits for nothing, without a loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    finally:
        coroutine.close()
    message = "it waits for something"
    raise AssertionError(message)


@dataclass
class Run:
    """One library's breaker, driven by a sequence."""

    package: ModuleType
    options: dict[str, Any]
    log: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        options = dict(self.options)
        self.states = self.package.CircuitBreakerState
        initial = self.states[options.pop("initial_state")]
        storage = self.storage_of(options.pop("storage"), initial)
        exclude = [EXCLUSIONS[name] for name in options.pop("exclude")]
        self.listeners = [
            recording_listener(self.package, self.log, raises)
            for raises in options.pop("listeners")
        ]
        self.breaker = self.package.CircuitBreaker(
            exclude=exclude,
            listeners=self.listeners,
            state_storage=storage,
            **options,
        )
        self.storage = storage

    def storage_of(self, kind: Any, state: Any) -> Any:
        match kind:
            case "memory":
                return self.package.storage.CircuitMemoryStorage(state)
            case "own":
                return recording_storage(self.package, self.log, state)
            case redis:
                name = self.package.__name__
                return self.package.storage.CircuitRedisStorage(state, redis, name)

    def step(self, action: tuple[Any, ...]) -> tuple[Any, ...]:
        """Do one thing; return everything that can be seen afterwards."""
        self.log.clear()
        try:
            result: Any = getattr(self, action[0])(*action[1:])
        except BaseException as error:  # noqa: BLE001  compared, whatever it is
            result = described(error)
        broken, self.storage.broken = getattr(self.storage, "broken", ""), ""
        seen = result, *self.seen()
        self.storage.broken = broken
        return seen

    def seen(self) -> tuple[Any, ...]:
        storage, breaker = self.storage, self.breaker
        return (
            tuple(self.log),
            (shown(storage.state), storage.counter, storage.opened_at),
            (shown(breaker.current_state), breaker.fail_counter),
            breaker._state.state.name,
        )

    def call(self, how: str, error: type[BaseException] | None, text: str) -> Any:
        func = partial(self.func, error)
        awaited = partial(self.awaited, error)
        breaker = self.breaker

        def function(*args: Any, **kwargs: Any) -> Any:
            return func(*args, **kwargs)

        async def coroutine_function(*args: Any, **kwargs: Any) -> Any:
            return await awaited(*args, **kwargs)

        match how:
            case "call":
                return breaker.call(func, 1, text=text)
            case "call async":
                return driven(breaker.call_async(awaited, 2, text=text))
            case "not awaitable":
                return driven(breaker.call_async(func, 3, text=text))
            case "decorated":
                return breaker(function)(4, text=text)
            case "decorated async":
                return driven(breaker(coroutine_function)(5, text=text))
            case "called twice":
                return breaker.call(breaker(function), 6, text=text)
            case "awaited twice":
                return driven(breaker.call_async(breaker(coroutine_function), 7))
            case _:
                return breaker()(func)(8)

    def func(self, error: type[BaseException] | None, *args: Any, **kwargs: Any) -> Any:
        self.log.append("called")
        if error is not None:
            raise error(*kwargs.values())
        return args, kwargs

    async def awaited(
        self, error: type[BaseException] | None, *args: Any, **kwargs: Any
    ) -> Any:
        return self.func(error, *args, **kwargs)

    def generator(self, how: str, error: type[BaseException], text: str) -> Any:
        guarded = self.breaker(yields)(1, key=text)
        seen = [next(guarded)]
        match how:
            case "throw":
                seen.append(guarded.throw(error(text)))
            case "close":
                guarded.close()
            case _:
                seen.append(guarded.send(text))
                seen.extend(guarded)
        return seen

    def command(self, name: str) -> Any:
        return getattr(self.breaker, name)()

    def read(self) -> Any:
        same = self.breaker.listeners == tuple(self.listeners)
        return self.breaker.state.state.name, same

    def times(self, name: str) -> Any:
        """Where the original fails for having no time to show, ours has none."""
        try:
            return getattr(self.breaker, name)
        except TypeError:
            return None

    def assign(self, name: str, value: Any) -> Any:
        if name == "state":
            value = self.states[value]
        setattr(self.breaker, name, value)
        return self.breaker._state.state.name

    def elsewhere(self, state: str) -> None:
        """Write the storage as another process does."""
        self.storage.state = self.states[state]

    def break_storage(self, how: str) -> None:
        """Let the storage fail at one thing from now on. Only a storage of one's own."""
        self.storage.broken = how

    def exclude(self, name: str, add: bool) -> Any:  # noqa: FBT001
        change = "add" if add else "remove"
        getattr(self.breaker, f"{change}_excluded_exception")(EXCLUSIONS[name])
        return self.breaker.excluded_exceptions

    def judge(self, error: type[BaseException], text: str) -> Any:
        return self.breaker.is_system_error(error(text))

    def wait(self, seconds: float) -> None:
        """The clock both share is moved by whoever drives them."""


def described(error: BaseException) -> tuple[Any, ...]:
    context, cause = error.__context__, error.__cause__
    more = getattr(error, "message", None), getattr(error, "reopen_time", None)
    remaining = more[1] and getattr(error, "time_remaining", None)
    return (
        type(error).__name__,
        error.args,
        str(error),
        repr(context),
        repr(cause),
        *more,
        remaining,
    )


errors = st.sampled_from(EXCEPTIONS)
texts = st.sampled_from(("down", "spare me"))
ways = st.sampled_from(
    (
        "call",
        "call async",
        "not awaitable",
        "decorated",
        "decorated async",
        "called twice",
        "awaited twice",
        "with options",
    )
)
actions = st.one_of(
    st.tuples(st.just("call"), ways, st.none() | errors, texts),
    st.tuples(st.just("call"), ways, st.just(Refused), st.just("down")),
    st.tuples(
        st.just("generator"), st.sampled_from(("throw", "close", "end")), errors, texts
    ),
    st.tuples(st.just("command"), st.sampled_from(("open", "half_open", "close"))),
    st.tuples(st.just("wait"), st.sampled_from((0.0, 1.0, 9.999_999, 10.0, 11.0))),
    st.tuples(st.just("read")),
    st.tuples(st.just("times"), st.sampled_from(("opens_at", "time_until_open"))),
    st.tuples(st.just("elsewhere"), st.sampled_from(NAMES)),
    st.tuples(st.just("assign"), st.just("state"), st.sampled_from(NAMES)),
    st.tuples(st.just("assign"), st.just("fail_max"), st.integers(0, 4)),
    st.tuples(
        st.just("assign"),
        st.just("timeout_duration"),
        st.sampled_from((timedelta(), timedelta(seconds=0.5), timedelta(seconds=10))),
    ),
    st.tuples(st.just("exclude"), st.sampled_from(sorted(EXCLUSIONS)), st.booleans()),
    st.tuples(st.just("judge"), errors, texts),
)
breaking = st.tuples(
    st.just("break_storage"),
    st.sampled_from(
        (
            "",
            "read counter",
            "write counter",
            "read opened_at",
            "write opened_at",
            "write state",
        )
    ),
)
raising = st.sampled_from(
    ("", "", "", "before", "success", "failure", "change", "change CLOSED to OPEN")
)
options = st.fixed_dictionaries(
    {
        "fail_max": st.integers(0, 3),
        "timeout_duration": st.sampled_from((None, timedelta(seconds=10))),
        "exclude": st.lists(st.sampled_from(sorted(EXCLUSIONS)), max_size=2),
        "listeners": st.lists(raising, max_size=2),
        "initial_state": st.sampled_from(NAMES),
        "storage": st.sampled_from(("memory", "own")),
    }
)
