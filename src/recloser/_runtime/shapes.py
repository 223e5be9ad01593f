"""Which kind of callable is this, or why it is refused.

Nothing may be silently unguarded: what cannot be guarded is a `TypeError` that says what
to do instead. `inspect` is imported at the first decoration, not with the package.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from enum import Enum, auto
from types import (
    AsyncGeneratorType,
    CoroutineType,
    FunctionType,
    GeneratorType,
    ModuleType,
)

from .._core.errors import ShapeError
from .._core.hints import Any

AnyCallable = Callable[..., Any]
_ASYNC = 0x0080 | 0x0100  # inspect.CO_COROUTINE, CO_ITERABLE_COROUTINE


@functools.cache
def _inspect() -> ModuleType:
    """Import it once: at shutdown it could not be imported any more."""
    import inspect

    return inspect


class Shape(Enum):
    """How a callable runs."""

    PLAIN = auto()
    ASYNC = auto()
    GENERATOR = auto()
    ASYNC_GENERATOR = auto()


def shape_of(target: object) -> Shape:
    """Return how `target` runs.

    Raises:
        TypeError: It cannot be guarded.
    """
    inspect = _inspect()
    refusal = _refusal(target)
    if refusal:
        msg = f"cannot guard {target!r}: {refusal}"
        raise TypeError(msg)
    code = _code_bearer(target)
    if is_async_callable(target) or _is_generator_based_coroutine(code):
        return Shape.ASYNC
    if inspect.isasyncgenfunction(code):
        return Shape.ASYNC_GENERATOR
    return Shape.GENERATOR if inspect.isgeneratorfunction(code) else Shape.PLAIN


def is_async_callable(target: object) -> bool:
    """Tell whether calling `target` gives a coroutine."""
    inspect = _inspect()
    return any(map(inspect.iscoroutinefunction, (target, _code_bearer(target))))


def runs_later(target: object) -> bool:
    """Tell whether calling `target` runs nothing yet: a coroutine function, a generator."""
    inspect, code = _inspect(), _code_bearer(target)
    generators = inspect.isgeneratorfunction(code) or inspect.isasyncgenfunction(code)
    return generators or is_async_callable(target)


def _is_generator_based_coroutine(target: object) -> bool:
    """Tell whether `types.coroutine` made it: awaited, though written as a generator."""
    inspect = _inspect()
    flags = getattr(getattr(target, "__code__", None), "co_flags", 0)
    return isinstance(flags, int) and bool(flags & inspect.CO_ITERABLE_COROUTINE)


def refuse_uncallable(target: object, method: str) -> None:
    """Refuse what cannot be called: that is a mistake, and no evidence.

    Raises:
        TypeError: Before the call is admitted.
    """
    if not callable(target):
        msg = f"{method}() needs a callable, got {target!r}"
        raise TypeError(msg)


def refuse_async(target: object) -> None:
    """Refuse a coroutine function where a plain call is made.

    Raises:
        TypeError: Before anything is called.
    """
    if type(target) is FunctionType and not target.__code__.co_flags & _ASYNC:
        return  # most calls: a look at the flags instead of two at everything else
    refuse_uncallable(target, "call")
    if is_async_callable(target):
        msg = f"call() cannot run the coroutine function {target!r}: use `await acall(...)`"
        raise TypeError(msg)


def refuse_unstarted(result: object, target: object) -> None:
    """Refuse a result that has yet to run: its outcome is not known.

    Raises:
        ShapeError: It is also a `TypeError`. A coroutine is closed first, so that it is
            not reported as never awaited.
    """
    kind = _unstarted(result)
    if kind is None:
        return
    if isinstance(result, CoroutineType):
        result.close()
    name = getattr(target, "__qualname__", None) or repr(target)
    msg = (
        f"{name} returned {kind}, which has not run yet, so it cannot be judged: "
        "guard the function that makes it, or use acall() or a permit"
    )
    raise ShapeError(msg)


def _refusal(target: object) -> str | None:
    if isinstance(target, type):
        return "it is a class; guard its methods, or a function that makes it"
    if isinstance(target, CoroutineType):
        return "it is a coroutine object; guard the coroutine function"
    if isinstance(target, property | functools.cached_property):
        return "it is a property; guard the function below the property"
    if not callable(target):
        return "it is not callable"
    if _makes_context_manager(target):
        return "it makes a context manager; put the breaker below @contextmanager"
    return None


def _makes_context_manager(target: object) -> bool:
    contextlib = sys.modules.get("contextlib")
    code = getattr(target, "__code__", None)
    made_there = (
        contextlib is not None
        and getattr(code, "co_filename", "") == contextlib.__file__
    )
    return made_there and getattr(code, "co_name", "") == "helper"


def _code_bearer(target: object) -> object:
    """Return the function that will run: below partials, behind `__call__`."""
    while isinstance(target, functools.partial):
        target = target.func
    if hasattr(target, "__code__") or hasattr(target, "__func__"):
        return target
    return getattr(type(target), "__call__", target)  # noqa: B004 - the function is wanted


def _unstarted(result: object) -> str | None:
    if isinstance(result, GeneratorType):
        return "a generator"
    if isinstance(result, AsyncGeneratorType):
        return "an async generator"
    if hasattr(type(result), "__await__"):
        return "a coroutine" if isinstance(result, CoroutineType) else "an awaitable"
    contextlib = sys.modules.get("contextlib")
    if contextlib is not None:
        managers = (
            contextlib._GeneratorContextManager,  # noqa: SLF001 - no public name tells it apart
            contextlib._AsyncGeneratorContextManager,  # noqa: SLF001 - no public name tells it apart
        )
        if isinstance(result, managers):
            return "a context manager"
    return None
