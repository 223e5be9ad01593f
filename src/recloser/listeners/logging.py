"""Events in the standard library's log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, final

from .. import State

if TYPE_CHECKING:
    from .. import (
        CallbackFailed,
        LateResult,
        ProbeLost,
        Rejected,
        ShareChanged,
        Transition,
        WouldTrip,
    )

_SHUT = {State.OPEN, State.FORCED_OPEN}


@final
class LoggingListener:
    """Log what happens to a breaker: `CircuitBreaker("payments", listeners=[LoggingListener()])`.

    Openings are warnings, other transitions are infos; a rejection is a debug line, as
    there can be thousands a second. Facts are in the record's `recloser` attribute, too.
    One listener may serve any number of breakers and threads.

    Args:
        logger: Where to log. Default the logger `recloser`.

    Raises:
        TypeError: It is no logger.
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        """Take the logger."""
        self._logger = logging.getLogger("recloser") if logger is None else logger
        if not callable(getattr(self._logger, "log", None)):
            msg = f"logger must be a logging.Logger, got {logger!r}"
            raise TypeError(msg)

    def on_transition(self, event: Transition) -> None:
        """Log an opening as a warning, anything else as an info."""
        level = logging.WARNING if event.after in _SHUT else logging.INFO
        text = f"{event.name}: {event.before} -> {event.after}"
        if event.reason:
            text += f" ({event.reason})"
        if event.retry_after is not None:
            text += f", retry in {_rounded(event.retry_after)} s"
        self._log(level, text, event)

    def on_rejected(self, event: Rejected) -> None:
        """Log a rejection as a debug line."""
        self._log(
            logging.DEBUG, f"{event.name}: rejected a call ({event.reason})", event
        )

    def on_share_changed(self, event: ShareChanged) -> None:
        """Log a step of a ramp as an info."""
        text = f"{event.name}: admitting {100 * event.share:.3g} % ({event.reason})"
        self._log(logging.INFO, text, event)

    def on_would_trip(self, event: WouldTrip) -> None:
        """Log what would have been an opening as a warning."""
        self._log(
            logging.WARNING, f"{event.name}: would have opened ({event.reason})", event
        )

    def on_probe_lost(self, event: ProbeLost) -> None:
        """Log a probe that did not come back in time as a warning."""
        probes = "1 probe has" if event.lost == 1 else f"{event.lost} probes have"
        self._log(logging.WARNING, f"{event.name}: {probes} not come back", event)

    def on_late_result(self, event: LateResult) -> None:
        """Log a late result as a debug line."""
        self._log(
            logging.DEBUG,
            f"{event.name}: a late {event.kind.value} changed nothing",
            event,
        )

    def on_callback_failed(self, event: CallbackFailed) -> None:
        """Do nothing: the error itself was logged, with its traceback."""

    def _log(self, level: int, text: str, event: object) -> None:
        if self._logger.isEnabledFor(level):
            line = (
                text if text.isprintable() else repr(text)[1:-1]
            )  # names: no new lines
            self._logger.log(level, "%s", line, extra={"recloser": event})


def _rounded(seconds: float) -> str:
    """Return a duration with as many digits as a person reads."""
    return f"{seconds:.3g}" if seconds < 100 else f"{seconds:.0f}"  # noqa: PLR2004
