"""The pytest plugin.

Nothing happens to a test that does not ask for a fixture, but one thing: an error that a predicate, listener or other callback of a breaker raises during a test
fails that test. In production it is logged and contained; a test should show it. Mark a
test `recloser_allow_callback_errors` if it raises them on purpose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .._runtime import mishaps
from .._runtime.registry import default_registry
from .clock import FakeClock
from .states import disabled

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from .._runtime.breaker import CircuitBreaker
    from .._runtime.registry import Registry

_MARK = "recloser_allow_callback_errors"


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark."""
    text = "callbacks of breakers may raise in this test; the plugin will not fail it"
    config.addinivalue_line("markers", f"{_MARK}: {text}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a test in which a callback of a breaker raised."""
    seen: list[tuple[str, str, Exception]] = []

    def witness(name: str, callback: str, error: Exception) -> None:
        seen.append((name, callback, error))

    mishaps.witnesses.append(witness)
    try:
        result = yield
    finally:
        mishaps.witnesses.remove(witness)
    if seen and item.get_closest_marker(_MARK) is None:
        name, callback, error = seen[0]
        text = f"breaker {name!r}: its {callback} raised {error!r} ({len(seen)} such errors)"
        raise AssertionError(text) from error
    return result


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that moves only when told to."""
    return FakeClock()


@pytest.fixture
def recloser_registry() -> Iterator[Registry]:
    """The default registry, empty during the test; what was there comes back after it."""
    before: list[CircuitBreaker] = list(default_registry)
    default_registry.clear()
    yield default_registry
    default_registry.clear()
    for breaker in before:
        default_registry.add(breaker)


@pytest.fixture
def recloser_disabled() -> Iterator[None]:
    """Every breaker lets every call through during the test."""
    with disabled():
        yield
