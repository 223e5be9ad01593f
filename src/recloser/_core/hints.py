"""What `typing` offers, without importing it at run time.

Importing `typing` takes 6 to 10 ms, half of the budget for `import recloser`. Type
checkers read the real names here; at run time annotations are never evaluated, so most
names need only exist, and a named tuple comes straight from `collections`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any as Any
    from typing import ClassVar as ClassVar
    from typing import Generic as Generic
    from typing import Literal as Literal
    from typing import NamedTuple as NamedTuple
    from typing import Never as Never
    from typing import NoReturn as NoReturn
    from typing import ParamSpec as ParamSpec
    from typing import Protocol as Protocol
    from typing import Self as Self
    from typing import TypeVar as TypeVar
    from typing import assert_never as assert_never
    from typing import cast as cast
    from typing import dataclass_transform as dataclass_transform
    from typing import final as final
    from typing import overload as overload
else:
    from collections import namedtuple

    class _Name:
        """Stands for a type in an annotation, a base or a call; does nothing."""

        def __class_getitem__(cls, item):
            """Be subscripted."""
            return cls

        def __init__(self, *args, **options):
            """Be called like a type variable."""

    class Any(_Name): ...

    class Generic(_Name): ...

    class Protocol(_Name): ...

    class TypeVar(_Name): ...

    ClassVar = Literal = Never = NoReturn = ParamSpec = Self = TypeVar

    class _TupleType(type):
        def __new__(cls, name, bases, body):
            fields = body.get("__annotations__") or _lazily(body)
            defaults = [body.pop(field) for field in fields if field in body]
            plain = namedtuple(
                name, fields, defaults=defaults, module=body["__module__"]
            )
            return type(name, (plain,), {"__slots__": (), **body})

    class NamedTuple:
        """A base that makes its subclass a named tuple."""

        def __mro_entries__(self, bases):
            """Hand the class body to the metaclass."""
            return (_TupleBase,)

    _TupleBase = type.__new__(_TupleType, "_TupleBase", (), {})
    NamedTuple = NamedTuple()

    def _lazily(body):  # pragma: no cover - only 3.14 calls it, where CI tests it too
        """Read annotations where 3.14 keeps them behind a function."""
        import annotationlib

        read = annotationlib.get_annotate_from_class_namespace(body)
        forward = annotationlib.Format.FORWARDREF
        return annotationlib.call_annotate_function(read, forward) if read else {}

    def cast(kind, value):
        """Return the value."""
        return value

    def assert_never(value):
        """Raise: this cannot be reached."""
        msg = f"unreachable: {value!r}"
        raise AssertionError(msg)

    def dataclass_transform(**options):
        """Return a decorator that does nothing."""
        return lambda decorated: decorated

    def overload(function):
        """Return the function."""
        return function

    final = overload
