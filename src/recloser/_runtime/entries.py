"""What asking a circuit gives: the entry of an admitted call, or why there is none."""

from __future__ import annotations

from .._core.hints import TYPE_CHECKING
from .._core.values import Passing

if TYPE_CHECKING:
    from .._core.phases import Admission, Phase
    from .._core.rules import Refused
    from .flights import Cohort
    from .recorders import Recorder

INSIDE = 0
"""The place of a call inside a probe: none of its own. Its outcome says nothing."""


class Entry(Passing):
    """One admitted call.

    Attributes:
        recorder: What it writes to; None for a probe.
        admission: The right it was given.
        started: When it began, or None where slowness does not matter.
        cohort: Where it is looked at while it is out, or None for nowhere.
        counted: Whether it was counted as slow while it was out.
    """

    __slots__ = ("admission", "cohort", "counted", "recorder", "started")

    def __init__(
        self,
        recorder: Recorder | None,
        admission: Admission,
        started: float | None,
        cohort: Cohort | None = None,
        counted: bool = False,  # noqa: FBT001, FBT002 - made by position, for speed
    ) -> None:
        """Keep them."""
        self.recorder: Recorder | None = recorder
        self.admission: Admission = admission
        self.started: float | None = started
        self.cohort: Cohort | None = cohort
        self.counted: bool = counted

    def begun(self, started: float | None) -> Entry:
        """Return the same entry with another beginning."""
        return Entry(self.recorder, self.admission, started, self.cohort, self.counted)

    def land(self) -> bool:
        """Leave the cohort, once, under the lock; tell whether it was counted before."""
        return self.counted if self.cohort is None else self.cohort.land()


class Refusal(Passing):
    """One call that was not admitted, and by what."""

    phase: Phase
    reason: str
    retry_after: float | None

    __slots__ = ("phase", "reason", "retry_after")

    def __init__(self, refused: Refused, phase: Phase) -> None:
        """Keep the phase: another may have come when the error is made."""
        self.reason, self.retry_after, _ = refused
        self.phase = phase
