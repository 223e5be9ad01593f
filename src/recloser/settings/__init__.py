"""Breakers and groups from a mapping, a TOML table, the environment.

    [recloser.defaults]
    recovery = 60

    [recloser.breakers.payments]
    trip = [5, { failure_rate = 0.5, window = { seconds = 60 } }]
    probes = 2

    [recloser.groups.hosts]
    max_size = 500

The numbers live in the settings, the callables (`ignore=`, `listeners=` …) in the code
that asks for the breaker: `Settings.from_toml("app.toml").breaker("payments", ignore=…)`.
"""

from __future__ import annotations

from ._settings import Settings

__all__ = ["Settings"]
