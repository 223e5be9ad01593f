"""Where a rival is set up for traps otherwise than for speed.

fluxgate's plain breaker is timed with a lottery for its probes. A story cannot be told by
lot, so here every probe is admitted, which is the other plain setting it offers.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

from ..subjects import LIBRARIES, Guards, Setup, load_adapters


def load() -> None:
    """Fill the table of libraries."""
    load_adapters()
    usual = LIBRARIES["fluxgate"]

    def fluxgate(lib: Any, setup: Setup) -> Guards:
        permits: Any = importlib.import_module("fluxgate.permits")
        permits.Random = lambda _share: permits.All()
        return usual.make(lib, setup)

    LIBRARIES["fluxgate"] = replace(usual, make=fluxgate)
