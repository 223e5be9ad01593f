"""Random sequences for circuitbreaker and its asyncio twin, and what can be seen of them.

A call is described by values only, so the same description can be given to the genuine
package and to ours; what each did is compared as text and numbers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, Final

from hypothesis import strategies as st


class Refused(Exception):
    pass


class VeryRefused(Refused):
    pass


ERRORS: Final = {
    error.__name__: error
    for error in (
        Refused,
        VeryRefused,
        KeyError,
        StopIteration,
        KeyboardInterrupt,
        GeneratorExit,
        asyncio.CancelledError,
    )
}
ENDS: Final = st.sampled_from(("Refused",) * 8 + ("ok",) * 3 + tuple(ERRORS))
WAITS: Final = st.sampled_from((1.0, 2.5, 0.25, 0.0, 0.7, 30.0, 29.75, 100.0))


def blows_up(*_: object) -> Any:
    message = "the predicate is broken"
    raise LookupError(message)


def spares_very_refused(kind: type[BaseException], error: BaseException) -> bool:
    return issubclass(kind, Refused) and not isinstance(error, VeryRefused)


def end(how: str, log: list[Any], *args: Any, **kwargs: Any) -> Any:
    """Do what a guarded function does: note its arguments, then return or raise."""
    log.append((how, args, kwargs))
    if how != "ok":
        raise ERRORS[how](how)
    return "done", args


def plain(how: str, log: list[Any]) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        return end(how, log, *args, **kwargs)

    return function


def coroutine(how: str, log: list[Any]) -> Callable[..., Any]:
    async def function(*args: Any, **kwargs: Any) -> Any:
        return end(how, log, *args, **kwargs)

    return function


def generator(how: str, log: list[Any]) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        try:
            log.append(("got", (yield 1)))
            yield end(how, log, *args, **kwargs)
        finally:
            log.append("generator ended")
        return "return value"

    return function


def async_generator(how: str, log: list[Any]) -> Callable[..., Any]:
    async def function(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        log.append(("got", (yield 1)))
        yield end(how, log, *args, **kwargs)

    return function


SHAPES: Final = {
    "plain": plain,
    "coroutine": coroutine,
    "generator": generator,
    "async generator": async_generator,
}


def finish(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never waits, without a loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    message = "it waits"
    raise AssertionError(message)


def consume(stream: Generator[Any, Any, Any], how: str) -> list[Any]:
    """Take items of a generator in one of the ways a caller can."""
    items: list[Any] = []
    if how != "never started":
        items.append(next(stream))
    if how == "sent to":
        items.append(stream.send("a value"))
    if how == "thrown into":
        items.append(stream.throw(Refused("from outside")))
    if how == "cancelled":
        items.append(stream.throw(asyncio.CancelledError()))
    if how != "closed":
        try:
            while True:
                items.append(next(stream))
        except StopIteration as stop:
            items.append(("returned", stop.value))
    stream.close()
    return items


def consume_async(stream: AsyncGenerator[Any, Any], how: str) -> list[Any]:
    items: list[Any] = []
    if how != "never started":
        items.append(finish(stream.__anext__()))  # type: ignore[arg-type]
    if how == "sent to":
        items.append(finish(stream.asend("a value")))  # type: ignore[arg-type]
    if how == "thrown into":
        items.append(finish(stream.athrow(Refused("x"))))  # type: ignore[arg-type]
    if how == "cancelled":
        error = asyncio.CancelledError()
        items.append(finish(stream.athrow(error)))  # type: ignore[arg-type]
    if how != "closed":
        try:
            while True:
                items.append(finish(stream.__anext__()))  # type: ignore[arg-type]
        except StopAsyncIteration:
            items.append("returned")
    finish(stream.aclose())  # type: ignore[arg-type]
    return items


CONSUMPTIONS: Final = (
    "exhausted",
    "exhausted",
    "sent to",
    "thrown into",
    "cancelled",
    "closed",
    "never started",
)


def attempt(work: Callable[[], Any]) -> Any:
    """Return what `work` returns, or what can be seen of what it raises."""
    try:
        return work()
    except BaseException as error:  # noqa: BLE001  whatever it is, it is the answer
        return seen(error)


def seen(error: BaseException | None) -> Any:
    if error is None:
        return None
    context = error.__context__
    return (
        type(error).__name__,
        error.args,
        str(error),
        type(error.__cause__).__name__,
        type(context).__name__,
    )
