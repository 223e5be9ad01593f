"""The frozen settings of a breaker: when to trip, how to recover."""

from __future__ import annotations

from . import ranges
from .hints import TYPE_CHECKING, Any, Self
from .recovery import Recovery, Shed, Wait
from .shares import Ramp
from .trips import ConsecutiveFailures, TripRule
from .values import Value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta


class Policy(Value):
    """When to trip, how long to wait, how to probe. Right by default.

    Immutable and comparable: one policy can serve any number of breakers.

    Args:
        trip: A trip rule, rules combined with `|` and `&`, or a number n of at least 1,
            short for `ConsecutiveFailures(n)`. Default 5.
        recovery: A recovery policy, or seconds > 0 or a `timedelta`, short for
            `Wait(...)`. Default 30 s, jitter 0.1.
        probes: Successes that a half-open round needs to close, at least 1. Default 1.
        probe_concurrency: Probes in flight at once, from 1 to `probes`. Default 1.
        probe_lease: Seconds, > 0, or a `timedelta`, after which the place of a probe
            that has not come back goes to another caller. Its outcome still counts as
            long as the round lasts. Default 30.
        ramp: How traffic returns once the probes have succeeded: a `Ramp`, True for the
            default one, or None or False for all at once. Default None.
    """

    trip: TripRule
    recovery: Recovery
    probes: int
    probe_concurrency: int
    probe_lease: float
    ramp: Ramp | None

    def __init__(
        self,
        *,
        trip: TripRule | int = 5,
        recovery: Recovery | float | timedelta = 30.0,
        probes: int = 1,
        probe_concurrency: int = 1,
        probe_lease: float | timedelta = 30.0,
        ramp: Ramp | bool | None = None,
    ) -> None:
        """Check every setting, and that they do not contradict each other."""
        ranges.whole("probes", probes)
        ranges.whole("probe_concurrency", probe_concurrency)
        if probe_concurrency > probes:
            msg = f"probe_concurrency must be at most probes ({probes}), got {probe_concurrency!r}"
            raise ValueError(msg)
        super().__init__(
            trip=_trip(trip),
            recovery=_recovery(recovery),
            probes=probes,
            probe_concurrency=probe_concurrency,
            probe_lease=ranges.seconds("probe_lease", probe_lease),
            ramp=_ramp(ramp),
        )
        if self.ramp is not None and isinstance(self.recovery, Shed):
            msg = "ramp must be left out with Shed, which lets traffic return by itself"
            raise ValueError(msg)

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> Self:
        """Make a policy from plain values: a settings file, a table, the environment.

        See `recloser._core.settings` for the keys. Numbers may be strings.

        Raises:
            TypeError, ValueError: A value is bad; the message starts with the path to
                it, such as `trip.any[1].failure_rate`.
        """
        from .settings import policy_fields

        return cls(**policy_fields(settings))

    @property
    def settle(self) -> float:
        """Seconds of trouble that open nothing, where a `FalseTripBudget` does not say.

        A hundredth of the first wait, within 0.1 and 1: what opening would cost.
        """
        return min(max(self.recovery.base(1) / 100, 0.1), 1.0)

    def __str__(self) -> str:
        """Say it in words."""
        probes = "1 probe" if self.probes == 1 else f"{self.probes} probes"
        ramp = "" if self.ramp is None else f"; {self.ramp}"
        return f"trip on {self.trip}; wait {self.recovery}; {probes}{ramp}"


def _trip(value: object) -> TripRule:
    if isinstance(value, TripRule):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return ConsecutiveFailures(ranges.whole("trip", value))
    msg = f"trip must be a trip rule or a number of failures in a row, got {value!r}"
    raise TypeError(msg)


def _recovery(value: object) -> Recovery:
    return (
        value
        if isinstance(value, Recovery)
        else Wait(ranges.seconds("recovery", value))
    )


def _ramp(value: object) -> Ramp | None:
    if value is None or value is False:
        return None
    if value is True:
        return Ramp()
    if isinstance(value, Ramp):
        return value
    msg = f"ramp must be a Ramp, True or None, got {value!r}"
    raise TypeError(msg)
