"""Retries with stamina: an open circuit ends them, or is waited for when asked to."""

import stamina
from stamina.instrumentation import set_on_retry_hooks

from recloser import CircuitBreaker, CircuitOpenError
from recloser.integrations.stamina import unless_open

search = CircuitBreaker("search", trip=3, recovery=0.05)
quick = stamina.RetryingCaller(attempts=10, wait_initial=0, wait_max=0, wait_jitter=0)
answers = [ConnectionError(), ConnectionError(), ConnectionError(), "found"]
tries = []
set_on_retry_hooks([])  # no log lines in this example


@search
def look_up(key: str) -> str:
    tries.append(key)
    answer = answers[len(tries) - 1]
    if isinstance(answer, Exception):
        raise answer
    return answer


try:
    quick.on(unless_open(ConnectionError))(look_up, "a")
except CircuitOpenError:
    print("rejected after", len(tries), "tries")

print(quick.on(unless_open(ConnectionError, longest_wait=1))(look_up, "a"))
print("after", len(tries), "tries")

# rejected after 3 tries
# found
# after 4 tries
