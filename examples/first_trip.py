"""A breaker trips after three failures, rejects, probes and closes again."""

from recloser import CircuitBreaker, CircuitOpenError, Wait
from recloser.testing import FakeClock

clock = FakeClock()  # in production leave it out: the breaker reads time.monotonic
payments = CircuitBreaker("payments", trip=3, recovery=Wait(30, jitter=0), clock=clock)
provider_is_up = False


@payments
def charge(amount: int) -> str:
    if not provider_is_up:
        raise ConnectionError
    return f"charged {amount}"


for _ in range(4):
    try:
        charge(100)
    except ConnectionError:
        print("failed", payments.state)
    except CircuitOpenError as error:
        print("rejected, retry in", error.retry_after)

provider_is_up = True
clock.advance(30)
print(charge(100), payments.state)

# failed closed
# failed closed
# failed open
# rejected, retry in 30.0
# charged 100 closed
