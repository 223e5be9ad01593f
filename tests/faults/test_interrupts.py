"""Ctrl-C at random moments, by real signals, thousands of times."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "interrupted.py"
SECONDS = 60
THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
@pytest.mark.parametrize("seed", [1, 2])
def test_breaker_comes_to_itself_after_every_interrupt(seed):
    rounds = 20_000 if THOROUGH else 2_000
    # A tracer that is written in Python lets signals in where the interpreter does not.
    untraced = {name: os.environ[name] for name in os.environ if "COVERAGE" not in name}

    done = subprocess.run(
        [sys.executable, SCRIPT, str(rounds), str(seed), str(SECONDS)],
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        env=untraced,
        check=False,
    )

    assert done.stdout, done.stderr[-2000:]
    figures = json.loads(done.stdout)
    assert figures["wrong"] == []
    assert figures["rounds"] > 100  # on a machine that is busy with something else
    assert figures["interrupts"] > figures["rounds"] * 0.9
