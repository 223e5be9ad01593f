"""What is usual, between breakers: exported, given back, and told of a probe's success."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .._core import ranges
from .._core.budget import Baseline, Learned
from .._core.hints import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from .scores import Usual

    Baselines = Mapping[str, Baseline | Sequence[float]]
    """By kind: "failed" and "slow"."""

NOTHING_USUAL: Usual = {}
_KINDS = ("failed", "slow")
_FEWEST_NUMBERS = 2


def baselines_of(usual: Usual, now: float) -> Mapping[str, Baseline]:
    """Return what can be given to another breaker."""
    return {
        _KINDS[slow]: Baseline(learned.failures, learned.calls, learned.faded(now))
        for slow, learned in usual.items()
        if learned.answered
    }


def usual_of(baselines: object, now: float) -> Usual:
    """Return what a breaker begins with, from `baseline=`.

    Raises:
        TypeError, ValueError: It is not what `snapshot().baseline` was.
    """
    if baselines is None:
        return NOTHING_USUAL
    if not isinstance(baselines, Mapping):
        msg = f"baseline must be a mapping, got {baselines!r}"
        raise TypeError(msg)
    given = cast("Mapping[object, object]", baselines)
    for kind in given:
        if kind not in _KINDS:
            msg = f'baseline has "failed" and "slow", got {kind!r}'
            raise ValueError(msg)
    return {
        bool(_KINDS.index(cast("str", kind))): _learned(f"baseline[{kind!r}]", one, now)
        for kind, one in given.items()
    }


def updated(usual: Usual, news: Usual) -> Usual:
    """Return what is known with the news; the same mapping if there is none."""
    return {**usual, **news} if news else usual


def answered(usual: Usual) -> Usual:
    """Return what is known after a probe succeeded: the dependency does answer."""
    return {
        slow: usual.get(slow, Learned())._replace(answered=True)
        for slow in (False, True)
    }


def _learned(name: str, value: object, now: float) -> Learned:
    numbers = cast("Sequence[object]", value)
    plain = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    if not plain or not _FEWEST_NUMBERS <= len(numbers) <= len(Baseline._fields):
        msg = f"{name} must be failures, calls and peak, got {value!r}"
        raise TypeError(msg)
    failures, calls, peak = (*numbers, 0.0)[: len(Baseline._fields)]
    known = ranges.at_least(f"{name}.calls", calls, 1)
    bad = ranges.at_least(f"{name}.failures", failures, 0)
    if bad > known:
        msg = f"{name}.failures must be at most its calls ({known:g}), got {bad:g}"
        raise ValueError(msg)
    highest = ranges.share(f"{name}.peak", peak)
    return Learned(bad, known, highest, now, answered=True)
