"""Where a rival is set up for traps otherwise than for speed.

fluxgate's plain breaker is timed with a lottery for its probes. A story cannot be told by
lot, so here every probe is admitted, which is the other plain setting it offers.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any, Final

from ..subjects import LIBRARIES, Guards, Setup, load_adapters

NO_BREAKERS: Final = {
    "escudeiro": "calls wait there and none is rejected, so no story can be told of it"
}


def load() -> None:
    """Fill the table of libraries."""
    load_adapters()
    usual = LIBRARIES["fluxgate"]

    def fluxgate(lib: Any, setup: Setup) -> Guards:
        permits: Any = importlib.import_module("fluxgate.permits")
        permits.Random = lambda _share: permits.All()
        return usual.make(lib, setup)

    LIBRARIES["fluxgate"] = replace(usual, make=fluxgate)
