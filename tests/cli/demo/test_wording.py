from __future__ import annotations

import pytest

from recloser.cli.demo.records import Change
from recloser.cli.demo.wording import duration, state_change


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, "-"),
        (0, "0 s"),
        (0.000042, "42 µs"),
        (0.0421, "42 ms"),
        (0.0009999, "1 ms"),
        (0.9994, "999 ms"),
        (0.9999, "1.00 s"),
        (1, "1.00 s"),
        (9.999, "10.0 s"),
        (9.876, "9.88 s"),
        (74.04, "74.0 s"),
    ],
)
def test_duration_has_the_unit_and_the_decimals_people_expect(
    seconds: float | None, expected: str
):
    assert duration(seconds) == expected


def change(after: str) -> Change:
    return Change(at=1, before="half_open", after=after, reason="a probe failed")


def test_opening_tells_both_states_and_its_reason():
    assert state_change(change("open")) == "half-open → open: a probe failed"


def test_reason_is_told_once_and_not_with_later_changes():
    assert state_change(change("closed")) == "half-open → closed"
