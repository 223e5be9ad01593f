"""Recovery as it is specified: one object with plain variables, and no cleverness.

It trips on a row of failures, waits, probes and ramps. Every number is a variable of its
own and every rule one branch, so it can be compared with the description line by line.
"""

from __future__ import annotations

from typing import NamedTuple

from recloser import Adaptive, Ramp

TRIP = 3
SHORTEST_AFTER_ABORT = 0.5
CUT = 0.7


class Token(NamedTuple):
    """What an admitted call belongs to: a generation of openings, and a run of shares."""

    state: str
    generation: int
    run: int


class Recovering:
    """A breaker that trips on a row, with `Adaptive` and `Ramp` recovery."""

    def __init__(self, adaptive: Adaptive, ramp: Ramp, probes: int) -> None:
        """Begin closed."""
        self.adaptive, self.ramp, self.probes = adaptive, ramp, probes
        self.state = "closed"
        self.now = 0.0
        self.chance = 0.5
        self.generation = self.run = 0
        self.row = 0
        self.dead_since: float | None = None
        self.opened = self.until = 0.0
        self.rejects = self.out = self.good_run = 0
        self.share = 0.0
        self.safe: float | None = None
        self.grown = self.ok = self.bad = self.bad_run = 0
        self.round_began = 0.0
        self.closed_at: float | None = None
        self.led_here: Token | None = None
        self.fastest = 2.0

    # -- a call comes --

    def call(self) -> Token | None:
        """Return a token for an admitted call, or None."""
        if self.state == "open":
            self._maybe_probe()
        if self.state == "ramp" and self.now - self.round_began >= self.ramp.round:
            self._end_of_round()
        if self.state == "closed":
            return self._token()
        if self.state == "probing" and self.out + self.good_run < self.probes:
            self.out += 1
            return self._token()
        if self.state == "ramp" and self.chance < self.share:
            return self._token()
        self.rejects += self.state == "open"
        return None

    def _token(self) -> Token:
        return Token(self.state, self.generation, self.run)

    def _maybe_probe(self) -> None:
        waived = self.now >= self.opened + self.adaptive.waiver
        enough = self.rejects >= self.adaptive.rejections
        if self.now >= self.until and (enough or waived):
            self.state = "probing"
            self.out = self.good_run = 0

    # -- a call ends --

    def end(self, token: Token, *, good: bool | None) -> None:
        """End a call as good, bad or (None) neutral."""
        if self.state == "closed" and token == self.led_here:
            token = self._token()  # only now is it seen what the whole share did
        if token != self._token():
            return
        if self.state == "closed" and good is not None:
            self.row = 0 if good else self.row + 1
            if self.row == TRIP:
                self._trip()
        elif self.state == "probing":
            self._end_probe(good=good)
        elif self.state == "ramp" and good is not None:
            self._end_share(good=good)

    def _trip(self) -> None:
        recent = self.closed_at is not None
        recent = recent and self.now - (self.closed_at or 0.0) < self.ramp.fade
        self.safe = max(self.ramp.floor, 0.5) if recent else None
        self.dead_since = self.now
        self._open()

    def _open(self) -> None:
        assert self.dead_since is not None
        self.generation += 1
        self.state = "open"
        self.opened = self.now
        self.rejects = self.row = 0
        wait = self.adaptive.fraction * (self.now - self.dead_since)
        wait = min(max(wait, self.adaptive.minimum), self.adaptive.maximum)
        jitter = self.adaptive.jitter
        self.until = self.now + wait * (1 - jitter + 2 * jitter * self.chance)

    def _end_probe(self, *, good: bool | None) -> None:
        if good is False:
            self._open()
            return
        self.out -= 1
        self.good_run += bool(good)
        if self.good_run == self.probes:
            self.state = "ramp"
            self.dead_since = None
            self.share = self.safe or self.ramp.steps[0]
            self.grown = 0
            self.run += 1
            self._begin_round()
            self.bad_run = 0

    def _begin_round(self) -> None:
        self.round_began = self.now
        self.ok = self.bad = 0

    def _end_share(self, *, good: bool) -> None:
        if good:
            self.ok += 1
            self.bad_run = 0
            return
        self.bad += 1
        self.bad_run += 1
        if self.bad_run == self.ramp.failures:
            self.safe = max(self.ramp.floor, SHORTEST_AFTER_ABORT * self.share)
            self.dead_since = self.now
            self._open()

    def _end_of_round(self) -> None:
        ramp, answers = self.ramp, self.ok + self.bad
        if answers >= ramp.minimum_calls and self.bad >= ramp.failure_rate * answers:
            self.share = self.safe = max(ramp.floor, CUT * self.share)
            self.grown = 0
            self.run += 1
            self._begin_round()
        elif self.ok < ramp.evidence and self.now - self.round_began < ramp.patience:
            return
        elif self.share >= 1:
            self.led_here = self._token()
            self.state = "closed"
            self.closed_at = self.now
            self.run += 1
            self.row = 0
        else:
            self._grow()
            self._begin_round()

    def _grow(self) -> None:
        if self.safe is None:
            steps = [step for step in self.ramp.steps if step > self.share]
            self.share = steps[0] if steps else 1.0
            return
        factor = min(self.fastest, 1 + 0.1 * 2**self.grown)
        self.grown += 1
        self.share = min(1.0, factor * self.share)
