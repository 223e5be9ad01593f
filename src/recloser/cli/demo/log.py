"""The run as it happens, as lines for logs and CI."""

from __future__ import annotations

from collections import Counter
from operator import itemgetter
from typing import TYPE_CHECKING

from .records import Client
from .wording import duration, state_change

if TYPE_CHECKING:
    from rich.console import Console

    from .records import Recording
    from .story import Stage


class Log:
    """Writes each line once, when its time has come."""

    def __init__(self, recording: Recording, console: Console) -> None:
        self._recording = recording
        self._console = console
        self._stages = list(recording.story.stages)
        self._told = 0

    def write(self, now: float) -> None:
        """Write what happened since the last time."""
        lines = self._changes() + self._begun(now)
        for at, line in sorted(lines, key=itemgetter(0)):
            self._console.print(f"{at:6.2f} s  {line}", soft_wrap=True)

    def _changes(self) -> list[tuple[float, str]]:
        changes = self._recording.changes[self._told :]
        self._told += len(changes)
        return [(change.at, f"breaker    {state_change(change)}") for change in changes]

    def _begun(self, now: float) -> list[tuple[float, str]]:
        lines: list[tuple[float, str]] = []
        while self._stages and self._stages[0].begins <= now:
            stage = self._stages.pop(0)
            if stage.begins:
                at = stage.begins
                lines += [(at, self._counts(client, at)) for client in Client]
            lines.append((stage.begins, _service(stage)))
        return lines

    def _counts(self, client: Client, until: float) -> str:
        ended = [c for c in self._recording.calls.copy() if c.ended <= until]
        calls = [call for call in ended if call.client is client]
        endings = Counter(call.ending for call in calls)
        told = ", ".join(f"{number} {ending}" for ending, number in endings.items())
        return f"{client:10} {told}, waited {duration(sum(c.took for c in calls))}"


def _service(stage: Stage) -> str:
    return f"service    {stage.act}: {stage.says}"
