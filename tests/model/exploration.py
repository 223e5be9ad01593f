"""Every reachable phase of small policies, and every move in each of them.

From the first world, breadth first, every move is made: a call comes; each call that is
out ends in every way, or never; operators give every command; links bring every word; a
second passes. Where a share of the calls is let through, both a lucky and an unlucky
call come. Each move is judged by the invariants I1 to I14.

`python -m tests.model.exploration` prints how much there is.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, TextIO

from recloser._core import rules
from recloser._core.outcomes import Outcome
from recloser._core.phases import (
    Admission,
    Closed,
    Command,
    ForcedOpen,
    HalfOpen,
    Link,
    Open,
    Phase,
    Ramping,
    Shedding,
    Word,
)
from recloser._core.rules import Refused
from recloser._core.states import State
from recloser._core.windows import Evidence

from . import invariants
from .scopes import GOOD, SCOPES, Scope
from .worlds import EPOCH, NOW, Call, World, counted, later, moved, rebased

CHANCE = 0.5
LUCK = (0.0, 0.999)

Step = tuple[str, World]


class Explored(NamedTuple):
    """How much there was."""

    worlds: int
    moves: int
    refused: int
    illegal: int
    states: frozenset[State]


class Explorer:
    """Visits the worlds of one scope."""

    def __init__(self, scope: Scope) -> None:
        """Begin in a closed circuit that nobody has told anything."""
        self.scope = scope
        self.policy = scope.policy
        links = tuple(Link(origin=origin) for origin in scope.links)
        start = World(Closed(epoch=EPOCH, since=NOW), links=links)
        self._found: dict[World, tuple[World, str] | None] = {start: None}
        self._refused = self._illegal = 0

    def explore(self) -> Explored:
        """Make every move from every world that any move leads to.

        Raises:
            AssertionError: An invariant is broken; the text has the way that led there.
        """
        moves = 0
        waiting = deque(self._found)
        while waiting:
            world = waiting.popleft()
            for name, following in self._judged(world):
                moves += 1
                after = rebased(following, self.policy)
                if after not in self._found:
                    self._found[after] = world, name
                    waiting.append(after)
        states = frozenset(world.phase.state for world in self._found)
        return Explored(len(self._found), moves, self._refused, self._illegal, states)

    def _judged(self, world: World) -> Iterator[Step]:
        try:
            yield from self._moves(world)
        except AssertionError as broken:
            way = " > ".join(self._way_to(world)) or "nothing"
            msg = f"{broken}\nin {world}\nafter {way}"
            raise AssertionError(msg) from broken

    def _way_to(self, world: World) -> list[str]:
        way: list[str] = []
        while (arrival := self._found[world]) is not None:
            world, name = arrival
            way.append(name)
        return way[::-1]

    def _moves(self, world: World) -> Iterator[Step]:
        invariants.check_that_time_heals(self.policy, world)
        self._check_that_illegal_outcomes_are_refused(world)
        yield from self._admissions(world)
        for index, call in enumerate(world.calls):
            if not call.gone:
                yield from self._endings(world, index)
        for command in Command:
            yield from self._commands(world, command)
        for index in range(len(world.links)):
            yield from self._words(world, index)
        yield "a second passes", later(world)

    def _admissions(self, world: World) -> Iterator[Step]:
        phase = world.phase
        for luck in LUCK if isinstance(phase, Open | Ramping | Shedding) else LUCK[:1]:
            asked = (self.policy, phase, NOW, luck, world.rejected)
            verdict = rules.admit(*asked)
            assert verdict == rules.admit(*asked), "rules are not pure"
            if isinstance(verdict, Refused):
                self._refused += 1
                invariants.check_refusal(self.policy, world, verdict, luck)
                yield "a call is rejected", _rejected(world, verdict)
                continue
            invariants.check_admission(self.policy, world, verdict, luck)
            if len(world.calls) < self.scope.most_calls:
                calls = (*world.calls, Call(verdict.admission))
                yield "a call comes", moved(world, verdict.phase)._replace(calls=calls)

    def _endings(self, world: World, index: int) -> Iterator[Step]:
        call = world.calls[index]
        rest = (*world.calls[:index], *world.calls[index + 1 :])
        gone = (*rest, call._replace(gone=True))
        yield "a call never ends", world._replace(calls=gone)
        for outcome in self.scope.outcomes:
            known = counted(world, call, outcome)
            after = self._settled(known, call.admission, outcome)
            invariants.check_outcome(self.policy, known, call.admission, outcome, after)
            slow = "slow " if outcome.slow else ""
            name = f"a call ends as {slow}{outcome.kind.value}"
            yield name, moved(known, after)._replace(calls=rest)

    def _settled(self, world: World, given: Admission, outcome: Outcome) -> Phase:
        evidence = Evidence(world.streak, world.slow_streak)
        arguments = (world.phase, given, outcome, evidence, NOW, CHANCE)
        after = rules.settle(self.policy, *arguments)
        assert after == rules.settle(self.policy, *arguments), "rules are not pure"
        return after

    def _check_that_illegal_outcomes_are_refused(self, world: World) -> None:
        """I9: what this phase cannot have given raises, and changes nothing."""
        before = repr(world.phase)
        for given in _never_given(world):
            try:
                self._settled(world, given, GOOD)
            except ValueError:
                self._illegal += 1
            else:
                msg = f"I9: {given} was accepted"
                raise AssertionError(msg)
        assert repr(world.phase) == before, "I9: something changed"

    def _commands(self, world: World, command: Command) -> Iterator[Step]:
        before = world.phase
        try:
            after = rules.override(self.policy, before, command, NOW, CHANCE)
        except ValueError:
            assert command is Command.TRIP, "I7, I9"
            assert invariants.is_held(before), "I9"
            self._illegal += 1
        else:
            invariants.check_command(before, command, after)
            invariants.check_permission(self.policy, before, command, after)
            yield f"somebody asks to {command.value}", moved(world, after)

    def _words(self, world: World, index: int) -> Iterator[Step]:
        link, others = world.links[index], list(world.links)
        for word in _alphabet(link):
            after = rules.adopt(self.policy, world.phase, link, word, NOW)
            invariants.check_word(self.policy, world.phase, link, word, after)
            if invariants.is_news(link, word):
                others[index] = link.replace(last=word.replace(epoch=1))
                name = f"the {link.origin} says {word.state}"
                yield name, moved(world, after)._replace(links=tuple(others))


def _rejected(world: World, verdict: Refused) -> World:
    after = moved(world, verdict.phase or world.phase)
    return after._replace(rejected=world.rejected + 1)


def _never_given(world: World) -> Iterator[Admission]:
    phase = world.phase
    yield from (Admission(phase.epoch + 1), Admission(phase.epoch, 0))
    yield Admission(phase.epoch, 99)
    if isinstance(phase, Open | ForcedOpen | HalfOpen):
        yield Admission(phase.epoch)
    if isinstance(phase, HalfOpen) and not phase.lost:
        out = {call.admission.place for call in world.calls}
        back = set(range(1, phase.issued + 1)) - out
        yield from (Admission(phase.epoch, place) for place in back)


def _alphabet(link: Link) -> Iterator[Word]:
    heard = link.last.epoch if link.last else 0
    for state in invariants.MORE_AND_MORE_SHUT:
        for epoch in (heard - 1, heard, heard + 1):
            yield Word(state=state, epoch=epoch, remaining=1.0)


def main(out: TextIO) -> None:
    """Explore every scope and print the figures."""
    worlds = moves = 0
    began = time.perf_counter()
    for scope in SCOPES:
        found = Explorer(scope).explore()
        worlds, moves = worlds + found.worlds, moves + found.moves
        figures = f"{found.worlds:6} worlds, {found.moves:6} moves"
        further = f"{found.refused:5} refusals, {found.illegal:6} illegal moves"
        out.write(f"{scope.name:31}{figures}, {further}\n")
    seconds = time.perf_counter() - began
    total = f"{worlds:6} worlds, {moves:6} moves"
    out.write(f"{'all':31}{total}: every invariant held; {seconds:.1f} s\n")


if __name__ == "__main__":
    main(sys.stdout)
