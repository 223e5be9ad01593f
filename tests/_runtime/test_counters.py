"""Counts that one C operation steps."""

from __future__ import annotations

import subprocess
import sys
import sysconfig


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
