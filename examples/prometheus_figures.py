"""What Prometheus sees of a breaker: one line per state, counts by outcome."""

from contextlib import suppress

from prometheus_client import REGISTRY, generate_latest

from recloser import CircuitBreaker, CircuitOpenError, add_listener
from recloser.listeners.prometheus import PrometheusListener

add_listener(PrometheusListener())  # every breaker of this process, now and later
payments = CircuitBreaker("payments", trip=3)


@payments
def charge() -> None:
    raise ConnectionError


for _ in range(5):
    with suppress(ConnectionError, CircuitOpenError):
        charge()
wanted = ("recloser_calls_total", "recloser_rejected", "recloser_state{")
for line in generate_latest(REGISTRY).decode().splitlines():
    if line.startswith(wanted):
        print(line)

# recloser_calls_total{name="payments",outcome="success"} 0.0
# recloser_calls_total{name="payments",outcome="failure"} 3.0
# recloser_calls_total{name="payments",outcome="neutral"} 0.0
# recloser_rejected_calls_total{name="payments"} 2.0
# recloser_state{name="payments",state="closed"} 0.0
# recloser_state{name="payments",state="open"} 1.0
# recloser_state{name="payments",state="half_open"} 0.0
# recloser_state{name="payments",state="forced_open"} 0.0
# recloser_state{name="payments",state="disabled"} 0.0
# recloser_state{name="payments",state="metrics_only"} 0.0
