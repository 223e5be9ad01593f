"""A score of failures that opens only when luck no longer explains it.

Theory. Call a failure 1 and a success 0, and let `p` be an error rate that nobody minds.
Choose `c > 0` with `p * e^(r c) + (1 - p) * e^(-c) = 1`: then the factor `L`, which is
`e^(r c)` for a failure and `e^(-c)` for a success, has mean 1 at rate `p` and less below
it. `L` is a likelihood ratio of a worse rate against `p`, so its product over some calls
is evidence against "it is no worse than usual". Divided by `c`, the logarithm is a score:
`r` points for a failure, one off for a success. `r` is chosen so that the score drifts up
when more than two thirds of `unacceptable` fail, and down when fewer do.

When may it open? Say it may be wrong once in `1 / b` seconds. Let `w` be `b` times the time
since the call before, and let `R` become `(R + w) L` at each call: Shiryaev's and Roberts'
sum, with clock time as the mass that enters. Then:

1. `R` less the sum of all `w` is a supermartingale, as long as outcomes do not depend on
   when calls arrive, given the past, and the true rate is at most `p`.
2. The score kept here, `V = max(V, w) L`, is at most `R`. Draining old evidence, waiting
   for `settle` and wanting three failures only lower it, or open later.
3. It opens at `V >= 1`. By optional stopping `1 <= E[sum of w] = b E[time]`: the mean time
   to a false trip is at least `1 / b` seconds, whatever the traffic, known or not. Each
   period begins anew, so this holds in the long run too.

The evidence `E` below is `ln V`; a fresh call is worth `ln w`, which is the bottom. So the
capacity in points is `-ln(w) / c`: computed, not chosen. By Lorden's bound no rule with
this budget can be much faster at a known rate.

Conditions, and where they fail:

- `p` is learned. It is a moving upper limit of two standard deviations which rises at once
  and falls by half in an hour, so at a steady or drifting rate the true one is nearly
  always below it. After a jump to another tolerable rate it is too low for some dozens of
  calls: each jump has a small risk of its own, and many jumps can exceed the budget.
- `p` never goes above 0.4 of `unacceptable`, so that learning cannot make it blind. A
  service that is usually worse than that trips more often than the budget says.
- Successes are counted, not timed: the time between two failures is divided evenly among
  the calls between. Arrivals chosen with malice gain a factor of 1 + ln(n) by that.
- The clock is taken to move by a nanosecond at least between failures. While it stands
  still, nothing settles, so nothing opens.
- Failures that stay together for longer than `settle` are a fault to this rule.
- The first five failures of a breaker that never saw a success open it without proof: this
  is what people try first. It costs p^5 per process.

Sources: Wald (1945), Page (1954), Shiryaev (1963), Roberts (1966), Lorden (1971), and the
e-detectors of Shin, Ramdas and Rinaldo. Fixed numbers here were each varied in simulation,
and none is sharp; `benchmarks/detection` measures the result.
"""

from __future__ import annotations

from math import ceil, exp, inf, log, sqrt

from .hints import NamedTuple
from .values import Struct, Value

MEMORY = 300.0  # calls: four times slower learning made ten times more false trips
PRIOR = 40.0  # good calls that a new breaker is taken to have seen
KNOWN = 150.0  # calls after which the highest usual rate is held
HELD = 3600.0  # seconds in which a held rate falls by half
FADES = 600.0  # seconds in which evidence falls by a factor of two
IDLE = 60.0  # seconds that a pause adds to the budget at most
FEWEST = 3  # failures before anything opens
FIRST = 5  # failures that open a breaker which never saw a success
LOWEST = (
    0.02  # usual rates below it are not told apart: 3 failures in a row are near luck
)
TICK = 1e-9  # seconds between failures at least, so that logarithms are finite
_SHOWN = 0.01  # seconds between the failures that a reading supposes, at least
_LN2 = log(2)
SHORT = _LN2 * IDLE / FADES  # what fades until the next failure, so that it suffices


class Budget(Value):
    """What one score is kept for: a rule, without what differs between breakers.

    Attributes:
        per_second: False trips allowed in a second of closed time.
        unacceptable: Error rate that should open the circuit.
        slow: Whether slow calls are counted, instead of failures.
        settle: Seconds of trouble that open nothing, or None for the policy's choice.
        gain: Points for a failure; a success takes one off.
        floor: Least usual rate that is used.
        ceiling: Greatest usual rate that is used.
    """

    per_second: float
    unacceptable: float
    slow: bool
    settle: float | None
    gain: float
    floor: float
    ceiling: float

    def __init__(
        self,
        per_second: float,
        unacceptable: float,
        *,
        slow: bool = False,
        settle: float | None = None,
    ) -> None:
        """Derive the numbers that every update needs."""
        ceiling = unacceptable * 0.4
        super().__init__(
            per_second=per_second,
            unacceptable=unacceptable,
            slow=slow,
            settle=settle,
            gain=1.5 / unacceptable - 1,  # no drift at two thirds of it
            floor=min(LOWEST, ceiling / 4),
            ceiling=ceiling,
        )

    def __hash__(self) -> int:
        """Hash one number: budgets are looked up at every failure."""
        return hash(self.per_second)

    def unit(self, usual: float) -> float:
        """Return the `c` at which a failure and its drain are a fair bet at a rate."""
        gain = self.gain
        if gain == 2:  # noqa: PLR2004 - unacceptable=0.5: a quadratic in e^c
            return log((sqrt(1 + 4 * (1 - usual) / usual) - 1) / 2)
        unit = -log(usual) / gain  # right of the root, from where Newton's steps fall
        while True:
            up, down = usual * exp(gain * unit), (1 - usual) * exp(-unit)
            step = (up + down - 1) / (gain * up - down)
            unit -= step
            if step < 1e-12 * unit:
                return unit

    def bottom(self, elapsed: float, successes: int) -> float:
        """Return the evidence that a call begins with, after a pause and successes."""
        apart = elapsed / (successes + 1)
        return log(self.per_second * min(max(apart, TICK), IDLE))


class Learned(NamedTuple):
    """What is usual, as runs of calls that ended by themselves have shown."""

    failures: float = 0.0
    calls: float = PRIOR
    peak: float = 0.0
    """Highest usual rate of late, at `peak_at`."""
    peak_at: float = 0.0
    answered: bool = False
    """Whether any call ever succeeded."""

    def after_run(
        self,
        budget: Budget,
        failures: int,
        calls: int,
        answered: bool,  # noqa: FBT001 - made at many failures, so by position
        now: float,
    ) -> tuple[float, Learned]:
        """Return the usual rate to reckon with after a harmless run, and what is known.

        The rate is a Poisson limit two standard deviations up, or the peak that fades.
        """
        kept = exp(-calls / MEMORY)
        failed, seen = self.failures * kept + failures, self.calls * kept + calls
        usual = (failed + 2 + 2 * sqrt(failed + 1)) / seen
        peak, peak_at = self.peak, self.peak_at
        if seen >= KNOWN:
            usual = max(usual, self.faded(now))
            peak, peak_at = min(usual, budget.ceiling), now
        learned = Learned(failed, seen, peak, peak_at, self.answered or answered)
        return min(max(usual, budget.floor), budget.ceiling), learned

    def faded(self, now: float) -> float:
        """Return what is left of the peak."""
        return self.peak * exp(-_LN2 * max(0.0, now - self.peak_at) / HELD)


class Baseline(NamedTuple):
    """What is usual, in numbers that mean the same in another process and later.

    `snapshot().baseline` has one for each kind of score; give them back with
    `CircuitBreaker(baseline=...)`, so that a restart does not forget. As plain lists of
    numbers they survive JSON.
    """

    failures: float
    """Failures (or slow calls) of late; older ones weigh less."""
    calls: float
    """Calls that they are among."""
    peak: float = 0.0
    """Highest usual rate of late, a fraction, as far as it has faded."""


class Score(NamedTuple):
    """Evidence that more fails than usual, after the last failure. Constant size."""

    learned: Learned
    last: float
    """When the last failure came, or the period began."""
    unit: float = 1.0
    evidence: float = -inf
    """Natural logarithm; it opens at 0."""
    failures: int = 0
    """Of the run: since the score last was at the bottom."""
    calls: int = 0
    began: float = 0.0
    full: bool = False
    """Whether the last failure gave reason to open."""
    reached: bool = False
    """Whether the run was full once: then it was no accident, and is not learned."""
    apart: float = 0.0
    """Seconds between the calls that came before the last failure."""

    def usual(self) -> float:
        """Return the learned rate, a fraction."""
        return self.learned.failures / self.learned.calls

    def is_first(self) -> bool:
        """Tell whether no call ever succeeded, and enough failed to say so."""
        return _is_first(self.learned, self.failures, self.calls)


def after_failure(
    budget: Budget, settle: float, score: Score, successes: int, now: float
) -> Score:
    """Return the score after a failure that came after so many successes.

    Args:
        budget: What the score is kept for.
        settle: Seconds that a run has to last before it opens anything.
        score: The score after the failure before.
        successes: Calls that succeeded between the two.
        now: When this failure came.
    """
    elapsed = max(0.0, now - score.last)  # threads may come in another order
    bottom = budget.bottom(elapsed, successes)
    learned, _, unit, evidence, failures, calls, began, _, reached, _ = score
    evidence -= successes * unit + _LN2 * elapsed / FADES
    if evidence <= bottom:
        learned, unit = _after_run(budget, score, successes, now)
        evidence, failures, calls, began, reached = bottom, 0, 0, now, False
    else:
        calls += successes
    failures, calls = failures + 1, calls + 1
    evidence += budget.gain * unit
    full = False
    if evidence >= 0:
        if now - began < settle:
            evidence = SHORT - budget.gain * unit  # one failure short
        elif failures >= FEWEST:
            evidence, full = 0.0, True
    if _is_first(learned, failures, calls):
        full = True
    return Score(
        learned,
        max(now, score.last),
        unit,
        evidence,
        failures,
        calls,
        began,
        full,
        reached or full,
        elapsed / (successes + 1),
    )


def _is_first(learned: Learned, failures: int, calls: int) -> bool:
    if learned.answered or calls > failures:
        return False
    return round(learned.failures) + failures >= FIRST


def _after_run(
    budget: Budget, score: Score, successes: int, now: float
) -> tuple[Learned, float]:
    """Learn a run that ended by itself, with the successes since."""
    failures, calls = score.failures, score.calls
    answered = successes > 0 or calls > failures
    if score.reached:
        failures = calls = 0
    usual, learned = score.learned.after_run(
        budget, failures, calls + successes, answered, now
    )
    return learned, budget.unit(usual)


def known(budget: Budget, score: Score, successes: int, now: float) -> Learned:
    """Return what is usual by now: the present run is learned too, if it is over."""
    if _drained(budget, score, successes, now) is not None:
        answered = successes > 0 or score.calls > score.failures
        return score.learned._replace(answered=score.learned.answered or answered)
    return _after_run(budget, score, successes, now)[0]


def _drained(budget: Budget, score: Score, successes: int, now: float) -> float | None:
    """Return the evidence that is left by now, or None at the bottom."""
    elapsed = max(0.0, now - score.last)
    left = score.evidence - successes * score.unit - _LN2 * elapsed / FADES
    return left if left > budget.bottom(elapsed, successes) else None


class Reading(Struct):
    """A score as people read it.

    Attributes:
        kind: What it counts: "failed" or "slow" calls.
        score: Points now; each such call adds, each other one takes 1 off.
        capacity: Points at which the circuit opens, at the present traffic.
        usual: Learned usual rate, a fraction.
        needed: How many such calls in a row would open the circuit from here, at the
            present traffic, if they go on for longer than `settle`. None where calls
            are so rare that evidence fades faster than it comes.
    """

    kind: str
    score: float
    capacity: float
    usual: float
    needed: int | None


def read(budget: Budget, score: Score, successes: int, now: float) -> Reading:
    """Return the score as it stands now, after successes since the last failure."""
    apart = max(now - score.last, 0.0) / (successes + 1)
    if not successes:  # just failed: calls come as they did before
        apart = max(apart, min(score.apart, IDLE))
    apart = max(apart, _SHOWN)
    bottom = budget.bottom(apart, 0)
    left = _drained(budget, score, successes, now)
    learned, unit, failures = score.learned, score.unit, score.failures
    if left is None:
        learned, unit = _after_run(budget, score, successes, now)
        left, failures = bottom, 0
    fades = _LN2 * apart / FADES
    needed = _needed(max(left, bottom), budget.gain * unit, fades)
    if needed is not None:
        needed = max(needed, FEWEST - failures, 1)
    if not (learned.answered or successes or score.calls > score.failures):
        first = max(1, FIRST - round(learned.failures) - failures)
        needed = first if needed is None else min(needed, first)
    return Reading(
        kind="slow" if budget.slow else "failed",
        score=max(0.0, left - bottom) / unit,
        capacity=-bottom / unit,
        usual=learned.failures / learned.calls,
        needed=needed,
    )


def _needed(evidence: float, gain: float, fades: float) -> int | None:
    """Return how many failures lead from some evidence to 0, if what fades allows it."""
    if evidence + gain >= 0:
        return 1
    if gain <= fades:
        return None
    return 1 + ceil(-(evidence + gain) / (gain - fades))
