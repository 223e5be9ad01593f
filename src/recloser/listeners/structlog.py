"""Events as structured log lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from .. import State
from .._extras import extra

with extra("structlog", structlog="23.1"):
    import structlog

if TYPE_CHECKING:
    from .. import (
        CallbackFailed,
        Event,
        LateResult,
        ProbeLost,
        Rejected,
        Transition,
        WouldTrip,
    )

_SHUT = {State.OPEN, State.FORCED_OPEN}


@final
class StructlogListener:
    """Log what happens to a breaker: `CircuitBreaker("payments", listeners=[StructlogListener()])`.

    Openings are warnings, other transitions are infos; a rejection is a debug line, as
    there can be thousands a second. Each line has `breaker` and `epoch`, and the facts
    of its event under their own names; of a failure only its type, as its text can hold
    secrets. One listener may serve any number of breakers and threads.

    Args:
        logger: Where to log: anything with `debug`, `info` and `warning` methods that
            take keywords. Default `structlog.get_logger("recloser")`.

    Raises:
        TypeError: It is no logger.
    """

    def __init__(self, logger: Any = None) -> None:
        """Take the logger, of whichever class structlog was told to make."""
        self._logger = structlog.get_logger("recloser") if logger is None else logger
        if logger is not None and not callable(getattr(logger, "warning", None)):
            msg = f"logger must be a logger of structlog, got {logger!r}"
            raise TypeError(msg)

    def on_transition(self, event: Transition) -> None:
        """Log an opening as a warning, anything else as an info."""
        log = self._logger.warning if event.after in _SHUT else self._logger.info
        facts = {
            "before": event.before.value,
            "after": event.after.value,
            "reason": event.reason or None,
            "retry_after": event.retry_after,
            "failure": event.failure.type if event.failure else None,
        }
        log("circuit_transition", **_facts(event, **facts))

    def on_rejected(self, event: Rejected) -> None:
        """Log a rejection as a debug line."""
        facts = {
            "state": event.state.value,
            "reason": event.reason,
            "retry_after": event.retry_after,
        }
        self._logger.debug("circuit_rejected_call", **_facts(event, **facts))

    def on_would_trip(self, event: WouldTrip) -> None:
        """Log what would have been an opening as a warning."""
        facts = _facts(event, reason=event.reason)
        self._logger.warning("circuit_would_trip", **facts)

    def on_probe_lost(self, event: ProbeLost) -> None:
        """Log a probe that did not come back in time as a warning."""
        self._logger.warning("circuit_probe_lost", **_facts(event, lost=event.lost))

    def on_late_result(self, event: LateResult) -> None:
        """Log a late result as a debug line."""
        facts = _facts(event, outcome=event.kind.value)
        self._logger.debug("circuit_late_result", **facts)

    def on_callback_failed(self, event: CallbackFailed) -> None:
        """Do nothing: the error itself was logged by the standard library's log."""


def _facts(event: Event, **facts: object) -> dict[str, object]:
    given = {key: fact for key, fact in facts.items() if fact is not None}
    return {"breaker": event.name, "epoch": event.epoch, **given}
