"""What HTTP clients share."""

from __future__ import annotations

import pytest

from recloser import BreakerGroup, CircuitBreaker, CircuitOpenError
from recloser.integrations._causes import is_rejected
from recloser.integrations._http import (
    STATUSES,
    FailingStatusError,
    Watch,
    failing_statuses,
    hint,
    host_key,
)

NOON = "Sat, 21 Nov 2026 12:00:00 GMT"
LATER = "Sat, 21 Nov 2026 12:01:30 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": LATER, "date": NOON}, 90.0),
        ({"retry-after": NOON, "date": LATER}, 0.0),
        ({"retry-after": "Sat, 21 Nov 2026 12:01:30 -0000", "date": NOON}, 90.0),
        ({"retry-after": "Saturday, 21-Nov-26 12:01:30 GMT", "date": NOON}, 90.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "-7"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "9" * 5000}, None),
        ({"retry-after": "7, 8"}, None),
        ({"retry-after": "Sat, 99 Nov 2026 12:00:00 GMT", "date": NOON}, None),
        ({"retry-after": "Fri, 31 Dec 99999 23:59:59 GMT"}, None),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:00 +9999999999"}, None),
    ],
)
def test_hint_is_read_as_the_server_gave_it(
    headers: dict[str, str], seconds: float | None
):
    assert hint(headers.get) == seconds


def test_date_without_a_date_to_compare_is_compared_with_the_clock():
    long_ago = {"retry-after": "Sat, 01 Jan 2000 00:00:00 GMT"}
    far_away = {"retry-after": "Fri, 01 Jan 2900 00:00:00 GMT", "date": "now"}

    assert hint(long_ago.get) == 0.0
    assert (hint(far_away.get) or 0) > 86_400


@pytest.mark.parametrize("bad", [99, 600, 0, -503, 5030])
def test_status_that_is_no_status_is_refused(bad: int):
    with pytest.raises(ValueError, match=rf"from 100 to 599, got {bad}"):
        failing_statuses({429, bad})


@pytest.mark.parametrize("bad", [503, "503", None, ["503"], [503.0], [True]])
def test_what_cannot_be_statuses_is_refused(bad: object):
    with pytest.raises(TypeError, match="statuses must"):
        failing_statuses(bad)


def test_statuses_may_be_any_iterable_of_them():
    assert failing_statuses(iter([529, *range(500, 503)])) == {500, 501, 502, 529}
    assert failing_statuses(()) == set()
    assert {429, 500, 502, 503, 504} == STATUSES


@pytest.mark.parametrize(
    ("parts", "key"),
    [
        (("http", "api.example", 80), "api.example"),
        (("https", "API.example", 443), "api.example"),
        (("https", "api.example", None), "api.example"),
        (("https", "api.example", 80), "api.example:80"),
        (("http", "::1", 8000), "[::1]:8000"),
        (("http", None, None), ""),
    ],
)
def test_key_is_the_host_and_a_port_of_its_own(parts: tuple, key: str):
    assert host_key(*parts) == key


@pytest.mark.parametrize(
    ("status", "text"), [(503, "503 Service Unavailable"), (599, "599")]
)
def test_failing_status_reads_like_a_status_line(status: int, text: str):
    assert str(FailingStatusError(status)) == text


def options(**given: object) -> dict:
    usual = {"name": "x", "key": str, "statuses": STATUSES, "neutral": is_rejected}
    return {**usual, **given}


@pytest.mark.parametrize("bad", ["api", 3, CircuitBreaker])
def test_breakers_are_a_group_or_a_breaker(bad: object):
    with pytest.raises(TypeError, match="BreakerGroup or a CircuitBreaker"):
        Watch(bad, **options())


def test_key_is_a_function():
    with pytest.raises(TypeError, match="key must be a function"):
        Watch(None, **options(key="host"))


def test_group_is_made_and_named_when_none_is_given():
    breakers = Watch(None, **options(name="httpx")).breakers

    assert isinstance(breakers, BreakerGroup)
    assert breakers.name == "httpx"


def test_exchange_is_settled_once():
    breaker = CircuitBreaker("x", registry="none", trip=1)
    exchange = Watch(breaker, **options()).admit("request")

    exchange.answered(200, {}.get)
    exchange.ended()
    exchange.raised(OSError())
    exchange.left()
    exchange.answered(503, {}.get)

    totals = breaker.snapshot().totals
    assert (totals.successes, totals.failures, exchange.settled) == (1, 0, True)


def test_rejection_is_found_among_the_causes():
    error = ValueError()
    error.__cause__ = KeyError()
    error.__cause__.__cause__ = CircuitOpenError("x")
    loop = ValueError()
    loop.__cause__ = KeyError()
    loop.__cause__.__cause__ = loop

    assert is_rejected(error)
    assert is_rejected(CircuitOpenError("x"))
    assert not is_rejected(loop)
    assert not is_rejected(ValueError())
