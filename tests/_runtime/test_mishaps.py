"""What is remembered, logged and told of results and of callbacks that raise."""

from __future__ import annotations

import pytest

from recloser import FailureInfo
from recloser._runtime import mishaps


class Unshowable:
    """As a result of somebody else's code may be."""

    def __repr__(self) -> str:
        raise OSError("no text")


class UntellableError(Exception):
    def __str__(self) -> str:
        raise OSError("no text")


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (503, FailureInfo(type="int", message="503", at=7.0)),
        ("x" * 300, FailureInfo(type="str", message="'" + "x" * 199, at=7.0)),
        (
            Unshowable(),
            FailureInfo(type="Unshowable", message="(it cannot be shown)", at=7.0),
        ),
    ],
    ids=["short", "long", "unshowable"],
)
def test_failing_result_is_remembered_by_its_type_and_what_it_shows(result, expected):
    assert mishaps.result_info(result, 7.0) == expected


def test_error_without_a_text_is_remembered_by_its_type():
    expected = FailureInfo(
        type="UntellableError", message="(its text cannot be made)", at=7.0
    )

    assert mishaps.failure_info(UntellableError(), 7.0) == expected


@pytest.mark.recloser_allow_callback_errors
def test_mistake_of_a_callback_is_logged_and_told_to_witnesses(caplog):
    told: list[tuple[object, ...]] = []
    error = LookupError("a mistake")

    def witness(*facts: object) -> None:
        told.append(facts)

    mishaps.witnesses.append(witness)
    try:
        remembered = mishaps.report("payments", "ignore", error, 7.0)
    finally:
        mishaps.witnesses.remove(witness)

    assert remembered == FailureInfo(type="LookupError", message="a mistake", at=7.0)
    assert caplog.messages == ["breaker 'payments': its ignore raised"]
    assert caplog.records[0].exc_info[1] is error
    assert told == [("payments", "ignore", error)]
