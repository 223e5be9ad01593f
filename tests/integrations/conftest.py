from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integrations.loopback import Loopback


@pytest.fixture
def server() -> Iterator[Loopback]:
    """A real server on loopback that follows a failure script."""
    with Loopback() as running:
        yield running


@pytest.fixture
def other_server() -> Iterator[Loopback]:
    """One more of them."""
    with Loopback() as running:
        yield running
