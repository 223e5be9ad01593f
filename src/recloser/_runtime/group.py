"""One policy, many keys, bounded memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from math import inf

from .._core import ranges
from .._core.hints import TYPE_CHECKING, Any, cast, final
from .._core.policy import Policy
from .._core.states import State
from .._core.values import Struct
from . import forks
from .breaker import CircuitBreaker
from .insight import Snapshot, Totals

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_KEY = 80
_LOOK_AGAIN = (
    1.0  # seconds before a full group looks for room again: each look walks all of it
)


class GroupSnapshot(Struct):
    """A group at one moment.

    Attributes:
        name: The group's name.
        size: Breakers held, without the overflow breaker.
        states: How many of them are in each state; states nobody is in are 0.
        totals: Sums over them and the overflow breaker; evicted ones are gone from it.
        evicted: Keys that were dropped to make room.
        overflowed: Look-ups that got the shared overflow breaker.
    """

    name: str
    size: int
    states: Mapping[State, int]
    totals: Totals
    evicted: int
    overflowed: int


@final
class BreakerGroup:
    """A breaker for each key (host, tenant, shard, model), made when first asked for.

    Bounded: beyond `max_size` the least recently used healthy breaker goes, one that is
    closed and has no streak of failures. A breaker in any other state never goes; when
    nothing can, new keys share one overflow breaker, `name[*]`, which is counted, and
    warned about once. An evicted breaker that somebody still holds goes on working alone.

    Safe for threads and tasks. Keys may come from outside: a breaker's name holds at
    most 80 printable characters of its key, and memory is bounded by `max_size`.

    Args:
        name: The group's name.
        max_size: Breakers held, at least 1. Default 10,000.
        options: Everything that `CircuitBreaker` takes, the same for all. They are
            not registered one by one unless `registry=` says so.
    """

    def __init__(self, name: str, *, max_size: int = 10_000, **options: Any) -> None:
        """Check the options by making the overflow breaker."""
        self._max_size = ranges.whole("max_size", max_size)
        settled = {key: _lasting(value) for key, value in options.items()}
        self._options: dict[str, Any] = {"registry": "none", **settled}
        self._lock = (
            threading.RLock()
        )  # a signal handler or finaliser may come in between
        self._breakers: OrderedDict[object, CircuitBreaker] = OrderedDict()
        CircuitBreaker(name, registry="none")  # refuses a bad name as it was given
        self._overflow = CircuitBreaker(f"{name}[*]", **self._options)
        self._share_policy()
        self._full_until = -inf
        self._name = name
        forks.watch(self)
        self._evicted = 0
        self._overflowed = 0

    def after_fork(self) -> None:
        """In a child: a new lock."""
        self._lock = threading.RLock()

    def _share_policy(self) -> None:
        """Have every new breaker get the overflow breaker's policy, the same object."""
        rest = {k: v for k, v in self._options.items() if k not in Policy._fields}  # pyright: ignore[reportPrivateUsage]
        self._options = {**rest, "policy": self._overflow.policy}

    @property
    def name(self) -> str:
        """The group's name."""
        return self._name

    @property
    def policy(self) -> Policy:
        """The settings in force."""
        return self._overflow.policy

    def __getitem__(self, key: object) -> CircuitBreaker:
        """Return the breaker of a key, making it if needed.

        Args:
            key: Anything hashable; keys that are equal share a breaker.
        """
        with self._lock:
            breaker = self._breakers.get(key)
            if breaker is not None:
                try:
                    self._breakers.move_to_end(key)
                except KeyError:  # a signal handler or finaliser made room by it
                    return breaker
                return breaker
        return self._add(key)

    def _add(self, key: object) -> CircuitBreaker:
        now = self._overflow._circuit.now()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - the same layer
        if now < self._full_until:
            return self._overflowing()
        made = CircuitBreaker(f"{self._name}[{_safe(key)}]", **self._options)
        dropped: list[object] = []  # they die when the lock is free again
        while True:
            with self._lock:
                breaker = self._breakers.get(key)
                if breaker is not None:  # another thread was faster
                    return breaker
                if not self._make_room(dropped):
                    self._full_until = now + _LOOK_AGAIN
                    break
                if made.policy is self.policy:
                    return self._breakers.setdefault(key, made)
            made.reconfigure(policy=self.policy)  # another thread changed it
        return self._overflowing()

    def _overflowing(self) -> CircuitBreaker:
        with self._lock:
            self._overflowed += 1
            first = self._overflowed == 1
        if first:
            self._warn()
        return self._overflow

    def _make_room(self, dropped: list[object]) -> bool:
        """Drop the least recently used healthy breaker; unhealthy ones move back."""
        held = self._breakers
        for _ in range(len(held)):
            if len(held) < self._max_size:
                return True
            try:
                key, breaker = item = next(iter(held.items()))
                if _is_healthy(breaker):
                    del held[key]
                    dropped.append(item)
                    self._evicted += 1
                else:
                    held.move_to_end(key)
            except (KeyError, RuntimeError, StopIteration):
                continue  # a signal handler or finaliser came in between
        return len(held) < self._max_size

    def _warn(self) -> None:
        import logging  # here, so that importing the package does not

        text = (
            "group %r is full of %d breakers that are not healthy: new keys share one"
        )
        logging.getLogger("recloser").warning(text, self._name, self._max_size)

    def __contains__(self, key: object) -> bool:
        """Tell whether a key has a breaker now."""
        return key in self._breakers

    def __len__(self) -> int:
        """Count the breakers held."""
        return len(self._breakers)

    def __iter__(self) -> Iterator[object]:
        """Iterate over the keys, least recently used first."""
        with self._lock:
            return iter(list(self._breakers))

    def items(self) -> list[tuple[object, CircuitBreaker]]:
        """Return keys and breakers, least recently used first."""
        with self._lock:
            return list(self._breakers.items())

    def discard(self, key: object) -> None:
        """Drop a key's breaker, whatever its state."""
        with self._lock:
            _dropped = self._breakers.pop(key, None)  # it dies when the lock is free
            self._full_until = -inf

    def reconfigure(self, **changes: Any) -> None:  # the fields of Policy, as there
        """Replace settings of all breakers, held or yet to be made, while running.

        State and evidence of those held stay; see `CircuitBreaker.reconfigure`.

        Args:
            changes: Fields of `Policy`, or `policy=` for all at once.

        Raises:
            TypeError, ValueError: A value is bad; nothing was changed.
        """
        self._overflow.reconfigure(**changes)
        with self._lock:
            self._share_policy()
            held = list(self._breakers.values())
        for breaker in held:
            while breaker.policy is not self.policy:  # another thread may change it
                breaker.reconfigure(policy=self.policy)

    def reset_all(self) -> None:
        """Reset every breaker held, and the overflow breaker."""
        for _, breaker in [*self.items(), (None, self._overflow)]:
            breaker.reset()
        self._full_until = -inf

    def snapshot(self) -> GroupSnapshot:
        """Return sums over all breakers held; each is read at its own moment."""
        each = [breaker.snapshot() for _, breaker in self.items()]
        states = dict.fromkeys(State, 0)
        for one in each:
            states[one.state] += 1
        return GroupSnapshot(
            name=self._name,
            size=len(each),
            states=states,
            totals=_sum([*each, self._overflow.snapshot()]),
            evicted=self._evicted,
            overflowed=self._overflowed,
        )

    def __repr__(self) -> str:
        """Show name and size."""
        return f"<BreakerGroup {self._name!r} of {len(self)} breakers, at most {self._max_size}>"


def _is_healthy(breaker: CircuitBreaker) -> bool:
    return breaker._circuit.is_healthy()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - the same layer; a snapshot costs 20 times as much


def _lasting(option: object) -> object:
    """Return an iterable that can be read by every breaker of the group."""
    if isinstance(option, Iterator):
        return tuple(cast("Iterator[object]", option))
    return option


def _safe(key: object) -> str:
    text = key if isinstance(key, str) else repr(key)
    shown = "".join(
        letter if letter.isprintable() else "?" for letter in text[:_LONGEST_KEY]
    )
    return shown if len(text) <= _LONGEST_KEY else f"{shown[: _LONGEST_KEY - 1]}…"


def _sum(snapshots: list[Snapshot]) -> Totals:
    names = Totals._fields  # pyright: ignore[reportPrivateUsage]
    return Totals(
        **{name: sum(getattr(one.totals, name) for one in snapshots) for name in names}
    )
