"""What a breaker says about itself, to programs and to people."""

from recloser import CircuitBreaker, CountWindow, FailureRate, Transition, Wait
from recloser.testing import FakeClock


def show(event: object) -> None:
    if isinstance(event, Transition):
        print(f"{event.name}: {event.before} -> {event.after}")


rule = FailureRate(0.5, window=CountWindow(10), minimum_calls=4)
recommendations = CircuitBreaker(
    "recommendations",
    trip=rule,
    recovery=Wait(30, jitter=0),
    clock=FakeClock(),
    listeners=[show],
)
for answer in [True, True, False, False]:
    permit = recommendations.acquire()
    if answer:
        permit.success()
    else:
        permit.failure(TimeoutError())
print(recommendations.snapshot().totals.failures)
print(recommendations.explain())

# recommendations: closed -> open
# 2
# 'recommendations' is open (2 of 4 calls failed in the last 10 calls (50 %, limit 50 %)): calls are rejected for another 30 s, then a probe decides. The last failure was TimeoutError, 0 s ago. It trips on 50 % of the last 10 calls failed (from 4 calls).
