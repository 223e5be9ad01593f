"""Counts that one C operation steps."""

from __future__ import annotations

import subprocess
import sys
import sysconfig

import pytest

from recloser._runtime import counters


def test_kind_of_count_is_that_of_the_build():
    """The GIL is on for a moment while some other thread imports an extension module."""
    program = """
import sys
sys._is_gil_enabled = lambda: True
from recloser._runtime.counters import HAS_GIL
print(HAS_GIL)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert run.stdout == f"{not sysconfig.get_config_var('Py_GIL_DISABLED')}\n"


@pytest.mark.parametrize("has_gil", [True, False])
def test_count_is_read_without_a_step_in_every_build(monkeypatch, has_gil):
    monkeypatch.setattr(counters, "HAS_GIL", has_gil)
    step = counters.counter()
    before = counters.steps_of(step)

    for _ in range(3):
        next(step)

    assert (before, counters.steps_of(step), counters.steps_of(step)) == (0, 3, 3)
