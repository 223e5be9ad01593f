from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recloser._core.retries import Store, earn, spend

steps = st.lists(st.one_of(st.just("retry"), st.integers(0, 50)), max_size=200)


def test_successes_earn_their_share_up_to_the_reserve():
    store = Store(retries=0.0, successes=100)

    some = earn(store, 105, share=0.25, reserve=10)
    many = earn(store, 500, share=0.25, reserve=10)

    assert some == Store(retries=1.25, successes=105)
    assert many == Store(retries=10, successes=500)


@pytest.mark.parametrize("count", [0, 99, 100])
def test_older_count_earns_nothing_and_takes_nothing_back(count: int):
    store = Store(retries=3.0, successes=100)

    assert earn(store, count, share=0.5, reserve=10) == store


@pytest.mark.parametrize(("before", "after"), [(1.0, 0.0), (2.5, 1.5)])
def test_retry_takes_a_whole_one(before: float, after: float):
    assert spend(Store(retries=before, successes=7)) == Store(
        retries=after, successes=7
    )


@pytest.mark.parametrize("left", [0.0, 0.999])
def test_part_of_a_retry_is_none(left: float):
    assert spend(Store(retries=left, successes=7)) is None


@given(steps, st.sampled_from([0.01, 0.1, 0.5, 1.0]), st.integers(1, 20))
def test_retries_never_exceed_the_reserve_and_the_share(
    steps: list[str | int], share: float, reserve: int
):
    store, made, successes = Store(retries=float(reserve), successes=0), 0, 0

    for step in steps:
        if isinstance(step, int):
            successes += step
            continue
        store = earn(store, successes, share=share, reserve=reserve)
        left = spend(store)
        if left is not None:
            store, made = left, made + 1

    assert made <= reserve + share * successes + 1e-6
    assert 0 <= store.retries <= reserve
