"""A trip as one structured log line."""

import structlog

from recloser import CircuitBreaker, Wait
from recloser.listeners.structlog import StructlogListener
from recloser.testing import FakeClock

structlog.configure(
    [structlog.processors.KeyValueRenderer()],
    logger_factory=structlog.PrintLoggerFactory(),
)

payments = CircuitBreaker(
    "payments",
    trip=2,
    recovery=Wait(30, jitter=0),
    clock=FakeClock(),
    listeners=[StructlogListener()],
)
for _ in range(2):
    payments.acquire().failure(TimeoutError())

# breaker='payments' epoch=2 before='closed' after='open' reason='2 failures in a row' retry_after=30.0 failure='TimeoutError' event='circuit_transition'
