"""What runs instead of a rejected call."""

from __future__ import annotations

from .._core.hints import TYPE_CHECKING, Any
from .shapes import AnyCallable, Shape, shape_of

if TYPE_CHECKING:
    from .._core.errors import CircuitOpenError


class Fallback:
    """A user's function that stands in for a rejected call; never for a failed one."""

    __slots__ = ("_function", "_shape", "_wants_rejection")

    def __init__(self, function: AnyCallable) -> None:
        """Check that it can be called, and whether it asks for `rejection=`."""
        if not callable(function):
            msg = f"fallback must be callable, got {function!r}"
            raise TypeError(msg)
        self._function = function
        self._shape = shape_of(function)
        self._wants_rejection = "rejection" in _parameters(function)

    def check(self, shape: Shape, guarded: object) -> None:
        """Refuse a fallback of another kind than the guarded function.

        Raises:
            TypeError: At decoration. A plain fallback may stand in for an async function.
        """
        if shape is self._shape or (
            shape is Shape.ASYNC and self._shape is Shape.PLAIN
        ):
            return
        kinds = (self._shape.name.lower(), shape.name.lower())
        msg = f"the fallback of {guarded!r} must be of its kind: it is {kinds[0]}, not {kinds[1]}"
        raise TypeError(msg.replace("_", " "))

    def refuse_for_plain(self, guarded: object) -> None:
        """Refuse to stand in for a plain call if it would have to be awaited or iterated."""
        self.check(Shape.PLAIN, guarded)

    def __call__(
        self, rejection: CircuitOpenError, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:  # what the user's function returns
        """Run it with the call's arguments.

        Whoever calls is handling the rejection, so that is the context of its error.
        """
        if self._wants_rejection:
            kwargs = {**kwargs, "rejection": rejection}
        return self._function(*args, **kwargs)


def _parameters(function: AnyCallable) -> tuple[str, ...]:
    import inspect

    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return ()
