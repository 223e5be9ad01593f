"""The rules, explored exhaustively for small policies. I1 to I10."""

from __future__ import annotations

import io
import os
from typing import Final

import pytest

from recloser._core import rules
from recloser._core.phases import HalfOpen, Phase
from recloser._core.policy import Policy
from recloser._core.rules import Admitted, Refused
from recloser._core.states import State

from . import exploration
from .exploration import Explorer
from .scopes import SCOPES, Scope

BRIEF: Final = os.environ.get("HYPOTHESIS_PROFILE") == "brief"
EXPLORED: Final = SCOPES[:3] if BRIEF else SCOPES  # pure rules: the same everywhere


@pytest.mark.parametrize("scope", EXPLORED, ids=lambda scope: scope.name)
def test_every_invariant_holds_in_every_world_after_every_move(scope: Scope) -> None:
    found = Explorer(scope).explore()

    assert found.states == set(State)
    assert found.moves > 10 * found.worlds
    assert found.refused > 0
    assert found.illegal > found.worlds


def test_explorer_tells_the_way_to_a_broken_invariant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = rules.admit

    def impatient(
        policy: Policy, phase: Phase, now: float, *luck: float
    ) -> Admitted | Refused:
        verdict = honest(policy, phase, now, *luck)
        if isinstance(verdict, Refused) and isinstance(phase, HalfOpen):
            return Refused("its place is taken", 0.5)
        return verdict

    monkeypatch.setattr(rules, "admit", impatient)

    with pytest.raises(AssertionError) as caught:
        Explorer(SCOPES[0]).explore()

    assert str(caught.value).startswith("I6: still refused after 0.5 s\nin World(")
    assert str(caught.value).endswith(
        "after somebody asks to trip > somebody asks to permit_probes > a call comes"
    )


def test_exploration_prints_its_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exploration, "SCOPES", SCOPES[:1])
    out = io.StringIO()

    exploration.main(out)

    first, last = out.getvalue().splitlines()
    assert first.startswith("one probe ")
    assert "every invariant held" in last
