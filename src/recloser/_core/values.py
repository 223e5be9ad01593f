"""The base of every frozen value: keyword fields, equality, a readable repr.

Hand-written because a frozen slotted dataclass costs half a millisecond of import
time each and brings `inspect` with it; thirty of them would be most of the budget
for `import recloser`.
"""

from __future__ import annotations

from .hints import Any, ClassVar, NoReturn, Self, dataclass_transform


class Passing:
    """A value that lives for one call: slots instead of checks, made in a tenth of a microsecond.

    Equal when the types and all slots are equal. By agreement nobody changes one.
    """

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        """Compare type and slots."""
        if type(other) is not type(self):
            return NotImplemented
        return all(
            getattr(self, name) == getattr(other, name) for name in self.__slots__
        )

    def __hash__(self) -> int:
        """Hash type and slots."""
        return hash((type(self), *(getattr(self, name) for name in self.__slots__)))

    def __repr__(self) -> str:
        """Show the slots by name."""
        inside = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({inside})"


class Value:
    """A frozen value with an `__init__` of its own. Fields are the annotations; class attributes are their defaults.

    Equal when the types and all fields are equal. Hashable if its fields are.
    Safe to share between threads and tasks: nothing changes after construction.
    """

    _fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        """Collect the field names, parents first."""
        own = cls.__dict__.get("__annotations__")  # noqa: RUF063 - `inspect` is what we avoid
        if own is None:  # 3.14 keeps annotations behind a function
            own = cls.__annotations__
        names = dict.fromkeys(cls._fields)
        for name, kind in own.items():
            if not str(kind).startswith(("ClassVar", "typing.ClassVar")):
                names[name] = None
        cls._fields = tuple(names)

    def __init__(
        self, **fields: Any
    ) -> None:  # any field type: subclasses declare them
        """Take every field by name and check the whole.

        Raises:
            TypeError: A field is unknown, or one without a default is missing.
            ValueError: The subclass refuses the combination.
        """
        values = self.__dict__
        for name in self._fields:
            if name in fields:
                values[name] = fields.pop(name)
            else:
                try:
                    values[name] = getattr(type(self), name)
                except AttributeError:
                    msg = f"{type(self).__name__} is missing {name!r}"
                    raise TypeError(msg) from None
        if fields:
            msg = f"{type(self).__name__} has no {', '.join(map(repr, fields))}"
            raise TypeError(msg)
        self.__post_init__()

    def __post_init__(self) -> None:
        """Check the fields; a subclass raises here and nothing half-made escapes."""

    def replace(self, **changes: Any) -> Self:  # any field type: checked by __init__
        """Return a copy with some fields changed, checked like a new one."""
        return type(self)(**{**self.__dict__, **changes})

    def __setattr__(self, name: str, value: object) -> NoReturn:
        """Refuse: values are frozen."""
        msg = f"{type(self).__name__} is frozen: use replace({name}=...)"
        raise AttributeError(msg)

    def __delattr__(self, name: str) -> NoReturn:
        """Refuse: values are frozen."""
        msg = f"{type(self).__name__} is frozen"
        raise AttributeError(msg)

    def __eq__(self, other: object) -> bool:
        """Compare type and fields."""
        if type(other) is not type(self):
            return NotImplemented
        return self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        """Hash type and fields."""
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        """Show the fields by name."""
        inside = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._fields)
        return f"{type(self).__name__}({inside})"


@dataclass_transform(frozen_default=True, kw_only_default=True, eq_default=True)
class Struct(Value):
    """A frozen value made by naming its fields. Type checkers see a frozen dataclass."""
