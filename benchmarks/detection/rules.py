"""The rules that are compared. Ours is the shipped code, asked at each failure."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING, Protocol

from recloser import FalseTripBudget
from recloser._core.budget import Learned, Score, after_failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    Times = Sequence[float] | np.ndarray
    Numbers = Sequence[int] | np.ndarray

SETTLE = 0.25
DAY = 86_400.0


class Rule(Protocol):
    """Something that is told of each failure and says when to open."""

    name: str

    def opens(self, numbers: Numbers, ats: Times, times: Times, place: int) -> int:
        """Count failures from a place on; return that of the first that opens it.

        Args:
            numbers: The numbers of the calls that failed.
            ats: Their times.
            times: Those of all calls.
            place: Which failure is the next one.

        Returns:
            How many failures there are, if none of them opens it.
        """
        for at in range(place, len(numbers)):
            if self.failed(int(numbers[at]), float(ats[at]), times):
                return at
        return len(numbers)

    def begin(self, number: int, now: float) -> None:
        """Drop the evidence: a period begins after so many calls."""
        ...

    def failed(self, number: int, now: float, times: Times) -> bool:
        """Count the failure of call `number`; `times` are those of all calls."""
        ...

    def go_on(self, calls: int) -> None:
        """Number the calls from 0 again: the next ones follow so many."""
        ...


class Ours(Rule):
    """`FalseTripBudget`, by its own functions. What is usual outlives a period."""

    def __init__(self, name: str, policy: FalseTripBudget, settle: float) -> None:
        self.name = name
        (self.budget,) = policy.budgets
        self.settle = settle
        self.score = Score(Learned(answered=True), 0.0)
        self.before = -1

    def begin(self, number: int, now: float) -> None:
        self.score = Score(self.score.learned, now)
        self.before = number - 1

    def go_on(self, calls: int) -> None:
        self.before -= calls

    def failed(self, number: int, now: float, times: Times) -> bool:
        well, self.before = number - self.before - 1, number
        score = after_failure(self.budget, self.settle, self.score, well, now)
        self.score = score
        return score.full


class Streak(Rule):
    """So many failures in a row."""

    def __init__(self, length: int) -> None:
        self.name = f"{length} in a row"
        self.length = length
        self.begin(0, 0.0)

    def begin(self, number: int, now: float) -> None:
        self.before, self.row = -2, 0

    def go_on(self, calls: int) -> None:
        self.before -= calls

    def failed(self, number: int, now: float, times: Times) -> bool:
        self.row = self.row + 1 if number == self.before + 1 else 1
        self.before = number
        return self.row >= self.length


class LastCalls(Rule):
    """A share of the last calls."""

    def __init__(self, size: int, rate: float) -> None:
        self.name = f"last {size}, {rate:.0%}"
        self.size, self.needed = size, rate * size
        self.begin(0, 0.0)

    def begin(self, number: int, now: float) -> None:
        self.begun = number
        self.failures: deque[int] = deque()

    def go_on(self, calls: int) -> None:
        self.begun -= calls
        self.failures = deque(number - calls for number in self.failures)

    def failed(self, number: int, now: float, times: Times) -> bool:
        failures = self.failures
        failures.append(number)
        while failures[0] <= number - self.size:
            failures.popleft()
        enough = number - self.begun + 1 >= self.size
        return enough and len(failures) >= self.needed


class LastSeconds(Rule):
    """A share of the calls in the last seconds, from a minimum on."""

    def __init__(self, seconds: float, rate: float, minimum: int, whose: str) -> None:
        self.name = f"{seconds:g} s, {rate:.0%}, min {minimum} ({whose})"
        self.seconds, self.rate, self.minimum = seconds, rate, minimum
        self.begin(0, 0.0)

    def begin(self, number: int, now: float) -> None:
        self.begun = number
        self.failures: deque[float] = deque()

    def go_on(self, calls: int) -> None:
        self.begin(0, 0.0)  # it looks into the times of the present numbers only

    def failed(self, number: int, now: float, times: Times) -> bool:
        failures, edge = self.failures, now - self.seconds
        failures.append(now)
        while failures[0] <= edge:
            failures.popleft()
        if len(failures) < self.rate * self.minimum:
            return False
        first = max(self.begun, bisect_left(times, edge))
        calls = number - first + 1
        return calls >= self.minimum and len(failures) >= self.rate * calls


def others() -> list[Rule]:
    return [
        Streak(5),
        LastCalls(20, 0.5),
        LastCalls(100, 0.5),
        LastSeconds(10, 0.5, 20, "Hystrix"),
        LastSeconds(30, 0.1, 100, "Polly"),
    ]
