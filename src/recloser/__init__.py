"""The circuit breaker for Python.

Layout, each part importing only those below it:

    cli            commands
    compat, integrations, listeners, sharing, testing      the edges
    settings       breakers from a file, a mapping, the environment
    _runtime       state, lock and calls: how a breaker is held
    _core          values and rules: what a breaker decides

To read it: `_core/phases` (what can be), `_core/rules` (what may change),
`_runtime/recorders` (what is known), `_runtime/circuit` (who may change it),
`_runtime/breaker` (how you hold it).
"""

from __future__ import annotations

from ._core.budget import Baseline, Reading
from ._core.errors import CircuitOpenError, PermitError, RecloserError, SharingError
from ._core.events import (
    CallbackFailed,
    CallEnded,
    Event,
    Failed,
    LateResult,
    ProbeEnded,
    ProbeLost,
    ProbeStarted,
    Rejected,
    ShareChanged,
    Transition,
    WouldReject,
    WouldTrip,
)
from ._core.outcomes import FailureInfo, Kind
from ._core.phases import Origin, Word
from ._core.policy import Policy
from ._core.recovery import Adaptive, Backoff, Shed, Wait
from ._core.shares import Ramp
from ._core.states import State
from ._core.trips import (
    ConsecutiveFailures,
    FailureRate,
    FalseTripBudget,
    SlowCallRate,
)
from ._core.windows import Counts, CountWindow, Evidence, TimeWindow
from ._runtime.breaker import CircuitBreaker
from ._runtime.group import BreakerGroup
from ._runtime.guards import Guard, breaker_of
from ._runtime.insight import Snapshot, Totals
from ._runtime.permits import Permit
from ._runtime.registry import (
    Registry,
    add_listener,
    breakers,
    get_breaker,
    remove_listener,
    reset_all,
)
from ._runtime.retries import RetryBudget

__all__ = [
    "Adaptive",
    "Backoff",
    "Baseline",
    "BreakerGroup",
    "CallEnded",
    "CallbackFailed",
    "CircuitBreaker",
    "CircuitOpenError",
    "ConsecutiveFailures",
    "CountWindow",
    "Counts",
    "Event",
    "Evidence",
    "Failed",
    "FailureInfo",
    "FailureRate",
    "FalseTripBudget",
    "Guard",
    "Kind",
    "LateResult",
    "Origin",
    "Permit",
    "PermitError",
    "Policy",
    "ProbeEnded",
    "ProbeLost",
    "ProbeStarted",
    "Ramp",
    "Reading",
    "RecloserError",
    "Registry",
    "Rejected",
    "RetryBudget",
    "ShareChanged",
    "SharingError",
    "Shed",
    "SlowCallRate",
    "Snapshot",
    "State",
    "TimeWindow",
    "Totals",
    "Transition",
    "Wait",
    "Word",
    "WouldReject",
    "WouldTrip",
    "add_listener",
    "breaker_of",
    "breakers",
    "get_breaker",
    "remove_listener",
    "reset_all",
]


def __getattr__(name: str) -> str:
    """Look the version up when somebody asks for it."""
    if name == "__version__":
        from importlib.metadata import version

        return version("recloser")
    msg = f"module 'recloser' has no attribute {name!r}"
    raise AttributeError(msg)
