"""Traps around what a breaker is put on: functions of every kind, and blocks."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..subjects import Guards, Setup
from .flavours import CaughtError, NotOffered, down
from .stories import BOTH, WAIT, calls, expect, trap

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..subjects import Library


def guards_of(library: Library, threshold: int = 1) -> Guards:
    """Return the guards of a new breaker that trips soon."""
    return library.guards(library.plainest(Setup("streak", 100, threshold, WAIT)))


def some(*guards: Callable[..., Any] | None) -> Callable[..., Any]:
    """Return the first that is offered; what users would try."""
    for each in guards:
        if each is not None:
            return each
    raise NotOffered


def tell_put_on(guard: Any, rejection: Any, run: Any) -> None:
    """Decorate, let it fail thrice, and see whether anybody noticed."""
    try:
        guarded = guard()
    except (TypeError, ValueError, NotImplementedError):
        return  # refused at decoration: a good answer
    errors = (OSError, rejection) if rejection else (OSError,)
    for _ in range(3):
        try:
            with suppress(*errors):
                run(guarded)
        except Exception as error:  # noqa: BLE001 - a rival may break in any way
            msg = f"broken ({type(error).__name__})"
            raise CaughtError(msg) from None
    try:
        run(guarded)
    except OSError:
        msg = "not guarded"
        raise CaughtError(msg) from None
    except rejection:
        return


@trap("P25 `async def`")
def coroutine_function(library: Library) -> None:
    """Put on `async def`, the breaker takes the making of a coroutine for success."""
    guards = guards_of(library, 3)

    async def fails() -> None:
        down()

    def run(guarded: Any) -> None:
        asyncio.run(awaited(guarded()))

    guard = some(guards.aio, guards.sync)
    tell_put_on(lambda: guard(fails), guards.rejection, run)


async def awaited(coroutine: Any) -> Any:
    """Await whatever it is, as `asyncio.run` takes coroutines only."""
    return await coroutine


@trap("P25 generator")
def generator(library: Library) -> None:
    """Put on a generator function, failures in the middle of the stream never count."""
    guards = guards_of(library, 3)

    def fails() -> Any:
        yield 1
        down()

    guard = some(guards.generator, guards.sync, guards.aio)
    tell_put_on(lambda: guard(fails), guards.rejection, lambda g: list(g()))


@trap("P25 async generator")
def async_generator(library: Library) -> None:
    """Put on an async generator function, failures in the middle of it never count."""
    guards = guards_of(library, 3)

    async def fails() -> Any:
        yield 1
        down()

    async def read(guarded: Any) -> None:
        async for _ in guarded():
            pass

    guard = some(guards.agenerator, guards.aio, guards.sync)
    rejection = guards.rejection
    tell_put_on(lambda: guard(fails), rejection, lambda g: asyncio.run(read(g)))


@trap("signature and colour")
def signature(library: Library) -> None:
    """The guarded function has lost its signature, or that it is to be awaited."""
    guards = guards_of(library)

    def plain(amount: int, *, currency: str = "EUR") -> str:
        return f"{amount} {currency}"

    async def aio(amount: int) -> str:
        return str(amount)

    if guards.sync is not None:
        kept = inspect.signature(guards.sync(plain)) == inspect.signature(plain)
        expect(kept, "loses the signature")
    if guards.aio is not None:
        expect(inspect.iscoroutinefunction(guards.aio(aio)), "loses the colour")


@trap("one object for threads and asyncio")
def one_object(library: Library) -> None:
    """What a breaker for threads knows, the breaker for asyncio does not."""
    guards = guards_of(library, 2)
    if guards.sync is None or guards.aio is None:
        msg = "sync only" if guards.aio is None else "async only"
        raise CaughtError(msg)

    async def fails() -> None:
        down()

    with suppress(OSError, guards.rejection or OSError):
        guards.sync(down)()
    with suppress(OSError, guards.rejection or OSError):
        asyncio.run(awaited(guards.aio(fails)()))
    try:
        asyncio.run(awaited(guards.aio(fails)()))
    except OSError:
        msg = "two objects"
        raise CaughtError(msg) from None
    except Exception:  # noqa: BLE001 - a rejection, of whatever type
        return


@trap("block while open")
def block(library: Library) -> None:
    """Entering `with` or `async with` while the circuit is open checks nothing."""
    guards = guards_of(library, 3)
    if guards.block is None and guards.ablock is None:
        raise NotOffered
    if guards.block is not None:
        run = _made("with", guards.entry)
        tell_put_on(lambda: run, guards.rejection, lambda g: g(guards.block, down))
    if guards.ablock is not None:
        arun = _made("async with", guards.aentry)
        fresh = guards_of(library, 3)
        tell_put_on(
            lambda: arun,
            fresh.rejection,
            lambda g: asyncio.run(g(fresh.ablock, down)),
        )


def _made(keyword: str, entry: str) -> Any:
    """Make a function whose body is one guarded block."""
    colour = "async " if keyword.startswith("async") else ""
    scope: dict[str, Any] = {}
    text = f"{colour}def run(m, action):\n    {keyword} {entry}:\n        action()\n"
    exec(text, scope)  # noqa: S102 - the text is ours
    return scope["run"]


@trap("failed call's frame", *BOTH)
def frames(library: Library, flavour: str) -> None:
    """The breaker keeps the last error, and with it the frames and locals of the call."""

    class Held:
        """Something large."""

    seen: list[weakref.ref[Held]] = []

    def fail() -> None:
        held = Held()
        seen.append(weakref.ref(held))
        msg = "down"
        raise OSError(msg)

    through = calls(library, flavour, threshold=5)
    with suppress(OSError):
        through.do(fail)
    for _ in range(
        100
    ):  # a loop on another thread may let go of its task a moment later
        gc.collect()
        if seen[0]() is None:
            return
        threading.Event().wait(0.02)
    expect(seen[0]() is None, "kept alive")
