"""What tests of code that uses breakers need: a clock to move, states to force.

The pytest plugin in `recloser.testing.plugin` comes with the package: it offers the
fixtures `fake_clock`, `recloser_registry` and `recloser_disabled`, and makes an error in
a predicate or listener fail the test in which it happened.
"""

from __future__ import annotations

from .clock import FakeClock
from .states import disabled, force

__all__ = ["FakeClock", "disabled", "force"]
