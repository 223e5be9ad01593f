"""What Python itself charges: the functions, and the baselines they are held against."""

from __future__ import annotations

from functools import wraps
from textwrap import indent
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    Decorator = Callable[[Any], Any]

BARE: Final = "(ref) bare"
WRAPPER: Final = "(ref) empty wrapper"
SIGNATURE: Final = "(ref) wrapper with the signature"
MANAGER: Final = "(ref) no-op manager"
RAISING: Final = "(ref) raising the same fields"

SHAPES: Final = {"f()": "", "f(1, 2)": "a, b", "o.m(1)": "self, a"}
"""How a function is called, and the parameters that takes."""
_HEADS: Final = {"sync": "def", "generator": "def"}
_BODIES: Final = {"sync": "pass", "async": "return 7"}
_ITEMS: Final = "yield 1\nyield 2\nyield 3"
_CALLS: Final = {
    "sync": "{call}",
    "async": "await {call}",
    "generator": "for _ in {call}: pass",
    "async generator": "async for _ in {call}: pass",
}


class Boom(Exception):  # noqa: N818 - the dependency's error
    """What a failing dependency raises."""


class SameFields(Exception):  # noqa: N818 - stands for a rejection
    """An exception with as many fields as a rejection of ours."""

    def __init__(
        self, name: str, state: str, retry_after: float, reason: str, failure: object
    ) -> None:
        """Keep the fields."""
        self.name = name
        self.state = state
        self.retry_after = retry_after
        self.reason = reason
        self.last_failure = failure


class NoOp:
    """A context manager that does nothing."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, *_: object) -> None:
        """Do nothing."""

    async def __aenter__(self) -> None:
        """Do nothing."""

    async def __aexit__(self, *_: object) -> None:
        """Do nothing."""


def function(kind: str, shape: str, body: str | None = None, **names: object) -> Any:
    """Return a new function with a code object of its own.

    Args:
        kind: One of sync, async, generator, async generator.
        shape: One of `SHAPES`.
        body: Its source; by default nothing, 7, or three items.
        names: Globals of the function.
    """
    head = _HEADS.get(kind, "async def")
    text = indent(body or _BODIES.get(kind, _ITEMS), "    ")
    space: dict[str, Any] = dict(names)
    code = compile(f"{head} f({SHAPES[shape]}):\n{text}\n", "<guarded>", "exec")
    exec(code, space)  # noqa: S102 - the source is ours
    return space["f"]


def call_of(kind: str, shape: str) -> str:
    """Return the statement that makes one call."""
    return _CALLS[kind].format(call=shape)


def names_of(shape: str, guarded: Any) -> dict[str, Any]:
    """Return the names that the call of this shape uses."""
    if not shape.startswith("o."):
        return {"f": guarded}
    return {"o": type("O", (), {"m": guarded})()}


def empty_wrapper(kind: str) -> Decorator:
    """Return the wrapper everybody writes by hand, with nothing in it."""
    return {
        "sync": _plain,
        "async": _aio,
        "generator": _generator,
        "async generator": _agenerator,
    }[kind]


def signature_wrapper(kind: str, shape: str) -> Decorator:
    """Return a wrapper with the function's own parameters: no library's, the floor."""

    def decorate(guarded: Any) -> Any:
        waiting = "await " if kind == "async" else ""
        body = f"return {waiting}inner({SHAPES[shape]})"
        return function(kind, shape, body, inner=guarded)

    return decorate


def _plain(guarded: Any) -> Any:
    @wraps(guarded)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return guarded(*args, **kwargs)

    return wrapper


def _aio(guarded: Any) -> Any:
    @wraps(guarded)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await guarded(*args, **kwargs)

    return wrapper


def _generator(guarded: Any) -> Any:
    @wraps(guarded)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return (yield from guarded(*args, **kwargs))

    return wrapper


def _agenerator(guarded: Any) -> Any:
    @wraps(guarded)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        async for item in guarded(*args, **kwargs):
            yield item

    return wrapper
