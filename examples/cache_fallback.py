"""A cache that is down costs nothing: Redis behind a breaker, answered without it."""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from recloser import CircuitBreaker, CircuitOpenError
from recloser.integrations.redis import guard

breaker = CircuitBreaker("cache", trip=2)
nobody_listens = redis.Redis(port=1, retry=Retry(NoBackoff(), 0))
cache = guard(nobody_listens, breaker)


def recommend(user: int) -> str:
    try:
        return str(cache.get(f"recommendations:{user}"))
    except redis.ConnectionError as error:  # a rejection is one, too
        how = "at once" if isinstance(error, CircuitOpenError) else "after trying"
        return f"bestsellers, {how}"


for user in range(3):
    print(recommend(user))
print(breaker.state)

# bestsellers, after trying
# bestsellers, after trying
# bestsellers, at once
# open
