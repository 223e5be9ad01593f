"""How many retries a stream of successes pays for: the decision of a retry budget.

After Finagle's retry budget and the retry throttling of gRPC: retries are a share of
what succeeds, so that they cannot multiply the load on something that fails. `Store` is
what has been saved; `spend` decides. No clock: an idle budget neither grows nor fades.
"""

from __future__ import annotations

from .values import Value


class Store(Value):
    """Retries that were earned and not yet made, and the successes they were earned by.

    Attributes:
        retries: How many, in fractions too, from 0 to the budget's reserve.
        successes: Up to which success they were earned.
    """

    retries: float
    successes: int


def earn(store: Store, successes: int, *, share: float, reserve: float) -> Store:
    """Return the store once `successes` were counted in all.

    An older count than the last one earns nothing and takes nothing back.
    """
    new = max(0, successes - store.successes)
    return Store(
        retries=min(reserve, store.retries + new * share),
        successes=store.successes + new,
    )


def spend(store: Store) -> Store | None:
    """Return the store after one more retry, or None if it does not hold a whole one."""
    if store.retries < 1:
        return None
    return store.replace(retries=store.retries - 1)
