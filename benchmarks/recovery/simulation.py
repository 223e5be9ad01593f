"""Discrete events: calls come, are refused, queue, are answered or given up.

The server works for callers who gave up, which is what makes overload last. Breakers
are inside the retry loop: every attempt is asked, and a rejection is never retried.
"""

from __future__ import annotations

import random
from collections import deque
from heapq import heappop, heappush
from itertools import count
from typing import Any, NamedTuple

from .policies import HEALTH_EVERY, POLICIES
from .scenarios import AFTER, CAPACITY, SCENARIOS, SERVICE, Condition, Scenario

WARM_UP = 12.0
QUEUE = 5000
COLD = 5.0
NAIVE, BUDGET = 3, 10.0


class Job(NamedTuple):
    """One run."""

    policy: str
    scenario: str
    clients: int
    retries: str
    """`none`, `naive` (three more tries) or `budget` (10 % of the calls)."""
    seed: int
    load: float = 0.7
    """Offered, as a part of the capacity."""
    hint: float | None = None
    """What a refusing server asks to wait, in seconds."""


class Request:
    """A user's request: one attempt after the other."""

    __slots__ = ("client", "over", "permit", "tries")

    def __init__(self, client: int, tries: int) -> None:
        self.client = client
        self.tries = tries
        self.permit: Any = None
        self.over = False

    def again(self) -> Request:
        """Return the same request for another try: late answers find the old one."""
        return Request(self.client, self.tries - 1)


class Seconds:
    """What happened in each second since the fault began."""

    def __init__(self) -> None:
        self.good: list[int] = []
        self.sent: list[int] = []
        self.ideal: list[float] = []
        self.capacity: list[float] = []

    def reach(self, second: int) -> None:
        while len(self.good) <= second:
            self.good.append(0)
            self.sent.append(0)
            self.ideal.append(0.0)
            self.capacity.append(0.0)


class Simulation:
    """One server and its clients, from the warm-up to the end of one run."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.dice = random.Random(f"{job.seed} {job.clients} {job.scenario}")
        self.scenario: Scenario = SCENARIOS[job.scenario]
        self.scale = self.dice.uniform(0.8, 1.2)
        self.now = 0.0
        self.rate = job.load * CAPACITY
        make = POLICIES[job.policy]
        self.clients = [make(lambda: self.now, self.dice) for _ in range(job.clients)]
        self.tokens = [BUDGET] * job.clients
        self.heap: list[tuple[float, int, int, Any]] = []
        self.number = count()
        self.queue: deque[Request] = deque()
        self.busy = self.life = self.answers = self.crashes = self.wasted = 0
        self.served_ideally = 0.0
        self.dead_until = -1.0
        self.probes_on_dead = 0
        self.offered_on_dead = 0
        self.condition = Condition()
        self.seconds = Seconds()
        self.end = WARM_UP + self.scale * self.scenario.end
        self.healthy = WARM_UP + self.scale * self.scenario.healthy
        self.steady = max(self.end, WARM_UP + self.scale * self.scenario.steady)

    # -- the server ----------------------------------------------------------------

    def look(self) -> None:
        """Bring the server's condition up to the present; begin again in 0.1 s."""
        before, after = self.condition, self._without_crashes(self.answers)
        if self.now < self.dead_until:
            after = Condition("down")
        self.condition = after
        if before.mode == "up" and after.mode != "up":
            self._lose_everything()
        while self.queue and after.mode == "up" and self.busy < after.workers:
            self._work(self.queue.popleft())
        if self.now >= WARM_UP:
            self._note_ideal(after)

    def _without_crashes(self, answers: float) -> Condition:
        """Return how the server would be, had it never crashed and answered so many."""
        if not WARM_UP <= self.now < self.steady:
            found = Condition()
        else:
            found = self.scenario.at((self.now - WARM_UP) / self.scale)
        if self.scenario.warms and self.now >= self.healthy and found.mode == "up":
            cold = max(0.0, 1 - answers / self.scenario.warms)
            return found._replace(factor=1 + (COLD - 1) * cold)
        return found

    def _note_ideal(self, now: Condition) -> None:
        """Note what could be answered in this tenth of a second.

        A crash is the clients' doing, and so is a server that stays cold because nobody
        lets it work: neither is an excuse.
        """
        second = int(self.now - WARM_UP)
        self.seconds.reach(second)
        could = self._without_crashes(self.served_ideally).capacity
        wanted = min(self._offered(), could)
        if self.now >= self.healthy:
            self.served_ideally += wanted / 10
        self.seconds.ideal[second] += wanted / 10
        self.seconds.capacity[second] += now.capacity / 10

    def _lose_everything(self) -> None:
        self.life += 1
        self.busy = self.answers = 0
        waiting, self.queue = self.queue, deque()
        if self.condition.mode == "down":
            for request in waiting:
                self._fail(request)

    def _offered(self) -> float:
        spiking = self.scenario.spike and WARM_UP <= self.now < self.end
        return self.scenario.spike * CAPACITY if spiking else self.rate

    def _send(self, request: Request) -> None:
        """Make one attempt that the client's breaker admitted."""
        if self.now >= WARM_UP:
            second = int(self.now - WARM_UP)
            self.seconds.reach(second)
            self.seconds.sent[second] += 1
        mode = self.condition.mode
        self.wasted += mode != "up"
        if mode == "down":
            self._push(0.001, 3, request)
            return
        self._push(self.scenario.timeout, 2, request)
        if mode == "hang" or self._is_lost() or len(self.queue) >= QUEUE:
            return
        if self.busy < self.condition.workers:
            self._work(request)
        else:
            self.queue.append(request)
            if self.scenario.crashes and len(self.queue) >= 1000:
                self._crash()

    def _is_lost(self) -> bool:
        lose = self.scenario.lose
        return (
            bool(lose)
            and self.healthy <= self.now < self.end
            and (self.dice.random() < lose)
        )

    def _crash(self) -> None:
        self.crashes += 1
        self.dead_until = self.now + 10
        self.look()

    def _work(self, request: Request) -> None:
        self.busy += 1
        factor = self.condition.factor
        if self.scenario.thrashes:
            factor *= 1 + 3 * min(1.0, len(self.queue) / QUEUE)
        took = self.dice.expovariate(1.0) * SERVICE * factor
        self._push(took, 1, (request, self.life))

    def _done(self, request: Request, life: int) -> None:
        if life != self.life:
            return
        self.busy -= 1
        self.answers += 1
        if self.queue and self.busy < self.condition.workers:
            self._work(self.queue.popleft())
        if not request.over:
            request.over = True
            request.permit.success()
            if self.now >= WARM_UP:
                second = int(self.now - WARM_UP)
                self.seconds.reach(second)
                self.seconds.good[second] += 1

    # -- the clients ---------------------------------------------------------------

    def _push(self, delay: float, kind: int, what: Any) -> None:
        heappush(self.heap, (self.now + delay, next(self.number), kind, what))

    def _ask(self, request: Request) -> None:
        """Ask the client's breaker, and make the attempt if it says so."""
        dead = self.condition.mode != "up" and self.now >= WARM_UP
        self.offered_on_dead += dead
        permit = self.clients[request.client].try_acquire()
        if permit is None:
            self._give_up(request)
            return
        request.permit = permit
        self._send(request)

    def _fail(self, request: Request) -> None:
        if request.over:
            return
        request.over = True
        hint = self.job.hint if self.condition.mode == "down" else None
        request.permit.failure(retry_after=hint)
        if request.tries and self._may_retry(request.client):
            self._push(self.dice.uniform(0.05, 0.15), 4, request.again())
        else:
            self._give_up(request)

    def _may_retry(self, client: int) -> bool:
        if self.job.retries != "budget":
            return True
        if self.tokens[client] < 1:
            return False
        self.tokens[client] -= 1
        return True

    def _give_up(self, request: Request) -> None:
        share = self.scenario.returning
        if share and self.now >= WARM_UP and self.dice.random() < share:
            again = Request(request.client, self._tries())
            self._push(self.dice.expovariate(1 / 10), 4, again)

    def _tries(self) -> int:
        return {"none": 0, "naive": NAIVE, "budget": 1}[self.job.retries]

    def _arrive(self) -> None:
        self._push(self.dice.expovariate(self._offered()), 0, None)
        client = self.dice.randrange(self.job.clients)
        if self.job.retries == "budget":
            self.tokens[client] = min(BUDGET, self.tokens[client] + 0.1)
        self._ask(Request(client, self._tries()))

    # -- a run ---------------------------------------------------------------------

    def run(self) -> Simulation:
        """Run to the end, or until everything has been well for a while."""
        self._push(0.0, 0, None)
        self._push(0.0, 5, None)
        every = HEALTH_EVERY.get(self.job.policy)
        if every:
            self._push(every, 6, every)
        heap, last = self.heap, self.end + AFTER
        while heap:
            self.now, _, kind, what = heappop(heap)
            if self.now >= last:
                break
            if kind == 0:
                self._arrive()
            elif kind == 1:
                self._done(*what)
            elif kind in {2, 3}:
                self._fail(what)
            elif kind == 4:
                self._ask(what)
            elif kind == 5:
                self.look()
                if self._is_well():
                    break
                self._push(0.1, 5, None)
            else:
                self._check_health(what)
        return self

    def _check_health(self, every: float) -> None:
        for client in self.clients:
            client.breaker.check_health(lambda: self.condition.mode == "up")
        self._push(every, 6, every)

    def _is_well(self) -> bool:
        """Tell whether nothing more can be lost: looked at each second."""
        if (
            self.now < self.steady + 30
            or self.now % 1 >= 0.1
            or (self.scenario.warms > 0 and self.answers < self.scenario.warms)
        ):
            return False
        if len(self.queue) > 50 or not all(one.is_closed() for one in self.clients):
            return False
        last = slice(-21, -1)
        good, ideal = sum(self.seconds.good[last]), sum(self.seconds.ideal[last])
        return good >= 0.97 * ideal
