from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from recloser._core.errors import (
    CircuitOpenError,
    PermitError,
    RecloserError,
    ShapeError,
    SharingError,
)
from recloser._core.outcomes import FailureInfo
from recloser._core.states import State

BOOM = FailureInfo(type="ConnectionError", message="password=hunter2", at=1.0)
OPEN = CircuitOpenError("payments", State.OPEN, 12.345, "5 failures in a row", BOOM)


class NotConnectedError(CircuitOpenError, ConnectionError):
    """What an integration raises: the host library's error and ours."""


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OPEN, "'payments' is open (5 failures in a row): retry in 12.3 s"),
        (
            CircuitOpenError("search", State.HALF_OPEN, 0.25, "tripped by hand"),
            "'search' is half-open (tripped by hand): retry in 0.25 s",
        ),
        (
            CircuitOpenError("search", State.FORCED_OPEN, None, "held open by hand"),
            "'search' is forced-open (held open by hand): reset it to let calls through",
        ),
        (CircuitOpenError("search", State.OPEN, 0.0), "'search' is open: retry in 0 s"),
        (
            CircuitOpenError("search", State.OPEN, 86_400.0),
            "'search' is open: retry in 86400 s",
        ),
    ],
    ids=str,
)
def test_error_says_what_happened_to_which_breaker_and_what_to_do(
    error: CircuitOpenError, text: str
) -> None:
    assert str(error) == text


def test_error_carries_the_facts() -> None:
    assert (OPEN.name, OPEN.state, OPEN.retry_after) == ("payments", "open", 12.345)
    assert (OPEN.reason, OPEN.last_failure) == ("5 failures in a row", BOOM)


def test_error_that_was_told_only_a_name_is_of_an_open_circuit() -> None:
    error = CircuitOpenError("payments")

    assert (error.state, error.retry_after) == (State.OPEN, None)
    assert (error.reason, error.last_failure) == ("", None)


def test_error_shows_its_facts_to_a_developer() -> None:
    error = CircuitOpenError("payments", State.HALF_OPEN, 1.5, "a probe is out")

    shown = "CircuitOpenError('payments', 'half_open', retry_after=1.5, reason='a probe is out')"
    assert repr(error) == shown


def test_text_of_a_failure_may_hold_secrets_and_is_never_shown() -> None:
    assert "hunter2" not in str(OPEN) + repr(OPEN)  # finding 44


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", [CircuitOpenError, NotConnectedError])
def test_error_survives_pickling(kind: type[CircuitOpenError], protocol: int) -> None:
    error = kind("payments", State.HALF_OPEN, 1.5, "why", BOOM)

    again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own bytes

    assert type(again) is kind
    assert vars(again) == vars(error)
    assert str(again) == str(error)


def test_error_survives_copying() -> None:
    again = copy.copy(OPEN)

    assert again is not OPEN
    assert vars(again) == vars(OPEN)


def test_note_and_further_attributes_survive_pickling() -> None:
    error = CircuitOpenError("payments", State.OPEN, 1.0)
    error.add_note("while charging order 7")

    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes

    assert again.__notes__ == ["while charging order 7"]


@pytest.mark.parametrize("kind", [PermitError, SharingError, ShapeError, RecloserError])
def test_plain_errors_survive_pickling(kind: type[RecloserError]) -> None:
    again: Any = pickle.loads(pickle.dumps(kind("told")))  # noqa: S301 - our own bytes

    assert (type(again), str(again)) == (kind, "told")


def test_one_except_clause_catches_them_all() -> None:
    kinds = (CircuitOpenError, PermitError, SharingError, ShapeError)

    assert all(issubclass(kind, RecloserError) for kind in kinds)
    assert issubclass(RecloserError, Exception)
    assert issubclass(ShapeError, TypeError)


def test_fact_of_the_class_describes_itself() -> None:
    assert type(CircuitOpenError.retry_after) is type(CircuitOpenError.reason)
    assert not isinstance(CircuitOpenError.retry_after, float | None)
