from __future__ import annotations

import copy
import pickle
from typing import ClassVar

import pytest

from recloser._core.values import Passing, Struct, Value


class Point(Struct):
    origin: ClassVar[str] = "corner"
    x: int
    y: int = 0


class Marked(Point):
    mark: str = "cross"


class Even(Struct):
    number: int

    def __post_init__(self) -> None:
        if self.number % 2:
            msg = f"number must be even, got {self.number}"
            raise ValueError(msg)


class Named(Value):
    name: str
    size: int = 1

    def __init__(self, name: str, *, size: int = 1) -> None:
        super().__init__(name=name, size=size)


class Parcel(Passing):
    __slots__ = ("content", "weight")

    def __init__(self, content: str, weight: int) -> None:
        self.content = content
        self.weight = weight


class Letter(Parcel):
    __slots__ = ()


def test_passing_values_are_equal_when_type_and_slots_are() -> None:
    parcel = Parcel("book", 2)

    assert parcel == Parcel("book", 2)
    assert hash(parcel) == hash(Parcel("book", 2))
    assert parcel not in {Parcel("book", 3), Parcel("lamp", 2), ("book", 2)}
    assert parcel != Letter("book", 2)
    assert repr(parcel) == "Parcel(content='book', weight=2)"


def test_passing_value_survives_pickling_and_weighs_no_dict() -> None:
    parcel = Parcel("book", 2)

    assert pickle.loads(pickle.dumps(parcel)) == parcel  # noqa: S301 - our own bytes
    assert not hasattr(parcel, "__dict__")


def test_fields_are_taken_by_name_and_have_defaults() -> None:
    point = Point(x=1)

    assert (point.x, point.y, Point.origin) == (1, 0, "corner")


def test_subclass_adds_its_fields_after_those_of_its_parent() -> None:
    assert repr(Marked(x=1, mark="star")) == "Marked(x=1, y=0, mark='star')"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "Point is missing 'x'"),
        ({"y": 1}, "Point is missing 'x'"),
        ({"x": 1, "z": 2}, "Point has no 'z'"),
        ({"x": 1, "origin": "edge"}, "Point has no 'origin'"),
    ],
)
def test_missing_and_unknown_fields_are_refused(
    fields: dict[str, int], message: str
) -> None:
    with pytest.raises(TypeError, match=f"^{message}$"):
        Point(**fields)


def test_fields_are_not_taken_by_position() -> None:
    with pytest.raises(TypeError):
        Point(1, 2)  # type: ignore[misc] - the mistake is the test


def test_value_cannot_be_changed() -> None:
    point = Point(x=1)

    with pytest.raises(AttributeError, match=r"Point is frozen: use replace\(x=...\)"):
        point.x = 2  # type: ignore[misc] - the mistake is the test
    with pytest.raises(AttributeError, match="Point is frozen"):
        del point.x
    assert point == Point(x=1)


def test_replace_returns_a_changed_copy() -> None:
    point = Point(x=1)

    moved = point.replace(y=5)

    assert (point, moved) == (Point(x=1, y=0), Point(x=1, y=5))


def test_replace_checks_like_a_new_value() -> None:
    even = Even(number=2)

    with pytest.raises(ValueError, match="number must be even, got 3"):
        even.replace(number=3)
    with pytest.raises(TypeError, match="Even has no 'x'"):
        even.replace(x=3)


def test_replace_goes_through_an_init_of_its_own() -> None:
    assert Named("box", size=3).replace(name="chest") == Named("chest", size=3)


def test_values_are_equal_when_type_and_fields_are() -> None:
    assert Point(x=1) == Point(x=1, y=0)
    assert Point(x=1) != Point(x=2)
    assert Point(x=1) != Marked(x=1)
    assert Point(x=1) != (1, 0)


def test_equal_values_have_equal_hashes_and_types_differ() -> None:
    assert len({Point(x=1), Point(x=1, y=0), Point(x=2), Marked(x=1)}) == 3


def test_value_is_hashable_only_if_its_fields_are() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Point(x=[]))  # type: ignore[arg-type] - the mistake is the test


@pytest.mark.parametrize("value", [Point(x=1), Marked(x=1), Named("box", size=3)])
def test_values_survive_pickling_and_copying(value: Value) -> None:
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - our own bytes
    assert copy.copy(value) == value
    assert copy.deepcopy(value) == value
