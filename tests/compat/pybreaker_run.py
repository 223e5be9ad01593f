"""Random sequences for a breaker with pybreaker's interface, and what can be seen of it."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final

from hypothesis import strategies as st
from tornado import gen


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
    SystemExit,
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
NAMES: Final = ("open", "half-open", "closed")


class RecordingBooks:
    """A storage as users write them, which notes what is written and fails if told to."""

    def __init__(self, log: list[Any], state: str) -> None:
        self.log = log
        self.values = {"state": state, "opened_at": None}
        self.counts = {"fail": 0, "success": 0}
        self.broken = ""

    def use(self, how: str) -> None:
        if how == self.broken:
            raise ConnectionError(how)

    def change(self, what: str, name: str) -> None:
        self.use(f"{what} {name}")
        self.log.append(f"{what} {name}")
        self.counts[name] = self.counts[name] + 1 if what == "count" else 0

    def increment_counter(self) -> None:
        self.change("count", "fail")

    def reset_counter(self) -> None:
        self.change("reset", "fail")

    def increment_success_counter(self) -> None:
        self.change("count", "success")

    def reset_success_counter(self) -> None:
        self.change("reset", "success")

    def write(self, name: str, value: Any) -> None:
        self.use(f"write {name}")
        self.log.append(f"write {name} {value}")
        self.values[name] = value

    def read(self, values: dict[str, Any], name: str) -> Any:
        self.use(f"read {name}")
        return values[name]

    counter = property(lambda self: self.read(self.counts, "fail"))
    success_counter = property(lambda self: self.read(self.counts, "success"))
    state = property(
        lambda self: self.read(self.values, "state"),
        lambda self, value: self.write("state", value),
    )
    opened_at = property(
        lambda self: self.read(self.values, "opened_at"),
        lambda self, value: self.write("opened_at", value),
    )


def recording_storage(module: ModuleType, log: list[Any], state: str) -> Any:
    base = module.CircuitBreakerStorage
    return type("Storage", (RecordingBooks, base), {})(log, state)


def recording_listener(module: ModuleType, log: list[Any], raises: str) -> Any:
    """Return a listener that notes what it hears, and raises on hearing one thing."""

    class Listener(module.CircuitBreakerListener):  # type: ignore[name-defined]
        def hear(self, breaker: Any, what: str) -> None:
            counts = breaker.fail_counter, breaker.success_counter
            log.append((what, breaker.current_state, *counts))
            if raises and what.startswith(raises):
                raise LookupError(what)

        def before_call(self, cb: Any, func: Any, *args: Any, **kwargs: Any) -> None:
            self.hear(cb, f"before {args} {kwargs}")

        def failure(self, cb: Any, exc: BaseException) -> None:
            self.hear(cb, f"failure {exc!r}")

        def success(self, cb: Any) -> None:
            self.hear(cb, "success")

        def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
            self.hear(cb, f"change {old_state.name} to {new_state.name}")

    return Listener()


def returns(*args: Any, **kwargs: Any) -> Any:
    return args, kwargs


def yields(*args: Any, **kwargs: Any) -> Generator[Any, Any, str]:
    try:
        sent = yield args
        yield sent, kwargs
    except VeryRefused as error:
        message = "translated"
        raise ValueError(message) from error
    except KeyError:
        yield "swallowed"
    return "lost"


@dataclass
class Run:
    """One library's breaker, driven by a sequence."""

    module: ModuleType
    options: dict[str, Any]
    log: list[Any] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop | None = None

    def __post_init__(self) -> None:
        options = dict(self.options)
        storage = self.storage_of(options.pop("storage"), options.pop("initial_state"))
        exclude = [EXCLUSIONS[name] for name in options.pop("exclude")]
        self.listeners = [
            recording_listener(self.module, self.log, raises)
            for raises in options.pop("listeners")
        ]
        self.breaker = self.module.CircuitBreaker(
            exclude=exclude,
            listeners=self.listeners,
            state_storage=storage,
            **options,
        )
        self.storage = storage

    def storage_of(self, kind: Any, state: str) -> Any:
        match kind:
            case "memory":
                return self.module.CircuitMemoryStorage(state)
            case "own":
                return recording_storage(self.module, self.log, state)
            case redis:
                return self.module.CircuitRedisStorage(
                    state, redis, self.module.__name__
                )

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
            (storage.state, storage.counter, storage.success_counter),
            storage.opened_at,
            (breaker.current_state, breaker.fail_counter, breaker.success_counter),
            breaker._state.name,
        )

    def call(self, how: str, error: type[BaseException] | None, text: str) -> Any:
        def func(*args: Any, **kwargs: Any) -> Any:
            self.log.append("called")
            if error is not None:
                raise error(text)
            return returns(*args, **kwargs)

        match how:
            case "call":
                return self.breaker.call(func, 1, text=text)
            case "decorator":
                return self.breaker(func)(2, text=text)
            case "decorator with options":
                return self.breaker()(func)(3)
            case _:
                with self.breaker.calling() as value:
                    return value, func(4)

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
        return self.breaker.state.name, self.breaker.listeners == tuple(self.listeners)

    def assign(self, name: str, value: Any) -> Any:
        setattr(self.breaker, name, value)
        return self.breaker._state.name

    def elsewhere(self, state: str) -> None:
        """Write the storage as another process does."""
        self.storage.state = state

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

    def call_async(self, how: str, error: type[Exception] | None, text: str) -> Any:
        """Await a call. Not in an open circuit: there the original calls twice."""
        if self.breaker.current_state == "open":
            self.breaker.half_open()
        func = getattr(self, how)
        guarded = self.breaker(__pybreaker_call_async=True)(func)

        async def awaited() -> Any:
            return await guarded(error, text)

        return self.loop.run_until_complete(awaited())

    async def native(self, error: type[Exception] | None, text: str) -> str:
        self.log.append("called")
        await asyncio.sleep(0)
        return self.plain(error, text)

    @gen.coroutine
    def tornado(self, error: type[Exception] | None, text: str) -> Any:
        self.log.append("called")
        yield gen.moment
        return self.plain(error, text)

    def future(self, error: type[Exception] | None, text: str) -> asyncio.Future[str]:
        future = self.loop.create_future()
        self.loop.call_soon(future.set_result, self.plain(error, text))
        return future

    def several(self, error: type[Exception] | None, text: str) -> Any:
        return {"a": self.future(None, text), "b": self.native(error, text)}

    def plain(self, error: type[Exception] | None, text: str) -> str:
        if error is not None:
            raise error(text)
        return text


def described(error: BaseException) -> tuple[Any, ...]:
    context, cause = error.__context__, error.__cause__
    return type(error).__name__, error.args, str(error), repr(context), repr(cause)


errors = st.sampled_from(EXCEPTIONS)
texts = st.sampled_from(("down", "spare me"))
ways = st.sampled_from(("call", "decorator", "decorator with options", "calling"))
actions = st.one_of(
    st.tuples(st.just("call"), ways, st.none() | errors, texts),
    st.tuples(st.just("call"), st.just("call"), st.just(Refused), st.just("down")),
    st.tuples(
        st.just("generator"), st.sampled_from(("throw", "close", "end")), errors, texts
    ),
    st.tuples(st.just("command"), st.sampled_from(("open", "half_open", "close"))),
    st.tuples(st.just("wait"), st.sampled_from((0.0, 1.0, 9.999_999, 10.0, 11.0))),
    st.tuples(st.just("read")),
    st.tuples(st.just("elsewhere"), st.sampled_from((*NAMES, "weird"))),
    st.tuples(st.just("assign"), st.just("state"), st.sampled_from((*NAMES, "odd"))),
    st.tuples(st.just("assign"), st.just("fail_max"), st.integers(0, 4)),
    st.tuples(st.just("assign"), st.just("success_threshold"), st.integers(0, 3)),
    st.tuples(
        st.just("assign"),
        st.just("reset_timeout"),
        st.sampled_from((-1, 0, 0.5, 10, "x")),
    ),
    st.tuples(st.just("exclude"), st.sampled_from(sorted(EXCLUSIONS)), st.booleans()),
    st.tuples(st.just("judge"), errors, texts),
)
breaking = st.tuples(
    st.just("break_storage"),
    st.sampled_from(
        (
            "",
            "count fail",
            "reset fail",
            "count success",
            "reset success",
            "read fail",
            "read success",
            "read opened_at",
            "write opened_at",
            "write state",
        )
    ),
)
raising = st.sampled_from(
    ("", "", "", "before", "success", "failure", "change", "change closed to open")
)
awaited_actions = st.tuples(
    st.just("call_async"),
    st.sampled_from(("native", "tornado", "future", "several", "plain")),
    st.none() | st.sampled_from((Refused, VeryRefused, KeyError)),
    texts,
)
options = st.fixed_dictionaries(
    {
        "fail_max": st.integers(0, 3),
        "reset_timeout": st.just(10),
        "success_threshold": st.integers(0, 3),
        "throw_new_error_on_trip": st.booleans(),
        "exclude": st.lists(st.sampled_from(sorted(EXCLUSIONS)), max_size=2),
        "listeners": st.lists(raising, max_size=2),
        "initial_state": st.sampled_from(NAMES),
        "storage": st.sampled_from(("memory", "own")),
    }
)
