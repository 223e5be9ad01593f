"""The page about states is what the rules say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parent.parent / "tools" / "draw-states"


def test_page_about_states_is_what_the_rules_say() -> None:
    checked = subprocess.run([sys.executable, TOOL, "--check"], check=False)

    assert checked.returncode == 0, "run tools/draw-states"
