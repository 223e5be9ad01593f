"""A Celery task behind a breaker: what it counts, and what a retry is judged by."""

from celery import Celery
from celery.exceptions import Ignore

from recloser import CircuitBreaker, CircuitOpenError
from recloser.integrations.celery import guard

app = Celery("orders", broker="memory://", backend="cache+memory://")
payments = CircuitBreaker("payments", trip=2)


# In a worker, a rejected task is sent again for when the circuit lets it through.
@app.task(base=guard(payments, retry=True), autoretry_for=(OSError,), max_retries=0)
def charge(customer: str) -> str:
    if customer == "nobody":
        raise Ignore
    raise ConnectionError(customer)


for customer in ["nobody", "a", "b", "c"]:
    result = charge.apply((customer,))  # runs here and now, without a worker
    print(customer, result.state, payments.state)
print(isinstance(result.result, CircuitOpenError))

# nobody IGNORED closed
# a FAILURE closed
# b FAILURE open
# c FAILURE open
# True
