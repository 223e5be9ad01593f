"""How the suite is collected: all of it, or with `--core` what runs anywhere."""

from __future__ import annotations

import gc
import os
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from pathlib import Path

BEYOND_CORE: Final = {
    "benchmarks": "bench",
    "cli": "demo",
    "compat": "peers",
    "docs": "demo",
    "examples": "demo",
    "dashboards": "integrations",
    "integrations": "integrations",
    "listeners/test_opentelemetry*": "integrations",
    "listeners/test_prometheus*": "integrations",
    "listeners/test_structlog*": "integrations",
    "sharing/*fleet*": "redis, servers",
}
"""Paths under tests/ that need more than the extra `test`, and which extra it is."""

# A busy machine is no reason to fail: no deadlines, no complaints about slow data.
settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
# A change must not fail for an example that the change before it never saw.
settings.register_profile(
    "ci", settings.get_profile("default"), derandomize=True, database=None
)
# For one interpreter after another, when one of them has had the whole.
settings.register_profile("brief", settings.get_profile("ci"), max_examples=25)
settings.register_profile(
    "thorough", settings.get_profile("default"), max_examples=1_000
)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "default")
)


@pytest.fixture(autouse=True, scope="module")
def nobodys_garbage() -> None:
    """Collect what other modules left: a stream that is settled rolls dice, and
    Hypothesis does not take that while it draws."""
    gc.collect()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--core",
        action="store_true",
        help="only the tests that need nothing beyond the extra 'test'",
    )


def pytest_report_header(config: pytest.Config) -> str | None:
    if not config.getoption("--core"):
        return None
    left = ", ".join(f"{path} ({extra})" for path, extra in BEYOND_CORE.items())
    return f"core tests only; left out, and the extra they need: {left}"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if not config.getoption("--core"):
        return None
    here = collection_path.relative_to(config.rootpath / "tests").as_posix()
    return True if any(fnmatch(here, path) for path in BEYOND_CORE) else None
