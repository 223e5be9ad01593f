"""What the service goes through, as a value: which stage it is in, how it answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

USUAL_SECONDS = 20.0
"""The run for which the waits below are written; other runs scale them."""

_ERRORS = 0.9
_LAST_ERRORS = 0.25
"""Share of the requests that get a 503: among errors, and when recovery begins."""


class Act(StrEnum):
    """What the service does to those who call it."""

    HEALTHY = "healthy"
    ERRORS = "errors"
    HANGS = "hangs"
    SLOW = "slow"
    RECOVERING = "recovering"


DYING = frozenset({Act.ERRORS, Act.HANGS, Act.SLOW})
"""The acts in which a call only adds to the trouble."""

_SCRIPT = (
    (Act.HEALTHY, 0.14, "answers within 30 ms"),
    (Act.ERRORS, 0.17, "9 requests of 10 get a 503"),
    (Act.HANGS, 0.20, "accepts requests and does not answer"),
    (Act.SLOW, 0.15, "answers, nearly as late as callers give up"),
    (Act.RECOVERING, 0.15, "answers; a few 503 are left, fewer and fewer"),
    (Act.HEALTHY, 0.19, "answers within 30 ms"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One act and its time, in seconds of the run."""

    act: Act
    begins: float
    ends: float
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """How one request is answered: after `delay` seconds, with `status`."""

    status: int
    delay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The whole script. Frozen: the service, both clients and the picture share it."""

    seconds: float
    stages: tuple[Stage, ...]

    @classmethod
    def lasting(cls, seconds: float) -> Story:
        """Return the script stretched to `seconds`."""
        stages: list[Stage] = []
        for act, share, says in _SCRIPT:
            begins = stages[-1].ends if stages else 0.0
            ends = begins + share * seconds
            stages.append(Stage(act=act, begins=begins, ends=ends, says=says))
        return cls(seconds=seconds, stages=tuple(stages))

    @property
    def pace(self) -> float:
        """How much longer this run is than the usual one."""
        return self.seconds / USUAL_SECONDS

    @property
    def patience(self) -> float:
        """Seconds after which a caller gives a request up: 1 s in a usual run."""
        return self.pace

    @property
    def recovery(self) -> float:
        """When the service came back: the beginning of its recovering stage."""
        return next(s.begins for s in self.stages if s.act is Act.RECOVERING)

    def at(self, now: float) -> Stage:
        """Return the stage of a moment; the last one lasts for ever."""
        for stage in self.stages:
            if now < stage.ends:
                return stage
        return self.stages[-1]

    def reply(self, now: float, chance: float) -> Reply:
        """Return how a request that arrives `now` is answered.

        Args:
            now: Seconds since the run began.
            chance: A number in [0, 1) that settles everything random.
        """
        stage = self.at(now)
        usual = 0.010 + 0.020 * chance
        match stage.act:
            case Act.HEALTHY:
                return Reply(status=200, delay=usual)
            case Act.ERRORS:
                return Reply(status=503 if chance < _ERRORS else 200, delay=usual / 2)
            case Act.HANGS:
                return Reply(status=200, delay=stage.ends - now)
            case Act.SLOW:
                return Reply(status=200, delay=self.patience * (0.7 + 0.2 * chance))
            case Act.RECOVERING:
                left = (stage.ends - now) / (stage.ends - stage.begins)
                status = 503 if chance < _LAST_ERRORS * left else 200
                return Reply(status=status, delay=usual + 0.1 * left * self.patience)
            case _:
                assert_never(stage.act)
