"""What the tests of faults share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Declare our plugin's mark, so that the suite runs with the plugin and without."""
    config.addinivalue_line(
        "markers", "recloser_allow_callback_errors: callbacks may raise in this test"
    )
