"""What stands in for `typing` at run time behaves where it is more than a name."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from recloser._core import hints
from recloser._core.outcomes import Kind, Outcome
from recloser._core.phases import Admission
from recloser._core.windows import Counts


class Pair(hints.NamedTuple):
    """Two things."""

    left: int
    right: str = "none"
    """The second has a default."""

    @property
    def both(self) -> str:
        return f"{self.left}{self.right}"


def test_named_tuple_has_fields_defaults_and_methods() -> None:
    pair = Pair(1)

    assert (pair.left, pair.right, pair.both) == (1, "none", "1none")
    assert pair == (1, "none")
    assert repr(pair) == "Pair(left=1, right='none')"
    assert pair._replace(right="x")._asdict() == {"left": 1, "right": "x"}


def test_named_tuple_is_no_heavier_than_a_tuple() -> None:
    assert not hasattr(Pair(1), "__dict__")


@pytest.mark.parametrize(
    "value", [Pair(1, "x"), Outcome(Kind.SUCCESS), Admission(3), Counts(1, 1)]
)
def test_named_tuples_survive_pickling(value: object) -> None:
    again = pickle.loads(pickle.dumps(value))  # noqa: S301 - our own bytes

    assert (type(again), again) == (type(value), value)


def test_names_can_stand_where_types_stand() -> None:
    class Box(hints.Generic[hints.TypeVar("T")]):  # type: ignore[misc] - run time only
        pass

    assert isinstance(Box(), hints.Generic)
    assert hints.cast("int", "as it is") == "as it is"


def test_what_cannot_be_reached_says_so() -> None:
    with pytest.raises(AssertionError, match="unreachable: 5"):
        hints.assert_never(5)  # type: ignore[arg-type] - the mistake is the test


def test_core_does_not_import_typing() -> None:
    program = (
        "import sys; before = set(sys.modules)\n"
        "import recloser._core.rules, recloser._core.events\n"
        "print(*sorted({'typing', 'inspect', 'dataclasses'} & set(sys.modules) - before))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == ""
