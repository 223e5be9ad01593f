"""Retries with tenacity: an open circuit ends them, a shared budget limits them."""

from tenacity import retry, stop_after_attempt

from recloser import CircuitBreaker, CircuitOpenError, RetryBudget
from recloser.integrations.tenacity import retry_unless_open, stop_when_spent

payments = CircuitBreaker("payments", trip=6)
budget = RetryBudget(payments, share=0.1, reserve=3)


@retry(
    retry=retry_unless_open(),
    stop=stop_after_attempt(3) | stop_when_spent(budget),
    reraise=True,
)
@payments
def charge() -> None:
    raise ConnectionError


for _ in range(4):
    tries = payments.snapshot().totals.calls
    try:
        charge()
    except (ConnectionError, CircuitOpenError) as error:
        tries = payments.snapshot().totals.calls - tries
        print(tries, "tries,", type(error).__name__, payments.state)

# 3 tries, ConnectionError closed
# 2 tries, ConnectionError closed
# 1 tries, ConnectionError open
# 0 tries, CircuitOpenError open
