from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import pytest
from rich.console import Console

from recloser.cli.demo.guard import payments_breaker
from recloser.cli.demo.records import Recording
from recloser.cli.demo.service import Service
from recloser.cli.demo.view import Scene


@pytest.fixture
def scene(recording: Recording) -> Iterator[Scene]:
    with Service(recording) as service:
        yield Scene(recording, service, payments_breaker(recording))


def drawn(scene: Scene, now: float, width: int = 120, height: int = 40) -> list[str]:
    out = StringIO()
    Console(file=out, width=width).print(scene.draw(now, width, height))
    return out.getvalue().splitlines()


def line(lines: list[str], label: str) -> str:
    return next(text for text in lines if text.startswith(f"│ {label} "))


def test_both_timelines_show_how_calls_ended_where_they_ended(scene: Scene):
    lines = drawn(scene, 20)

    bars = lines.index(line(lines, "unguarded"))
    letters = lines[bars + 1].strip("│")[12:]
    assert letters[5] == "·"
    assert letters[15] == "x"
    assert letters[35:43] == "TTTTTTTT"
    assert "2 answered, 1 failed, 2 timed out" in lines[bars + 2]


def test_band_follows_the_breakers_states_up_to_now(scene: Scene):
    band = line(drawn(scene, 14.1), "breaker").strip("│")[12:].rstrip()

    assert band[0] == "━"
    assert band[50] == "█"
    assert band[-1] == "▒"


def test_breaker_speaks_for_itself(scene: Scene):
    text = " ".join(" ".join(drawn(scene, 20)).replace("│", "").split())

    assert repr(scene.breaker) in text
    assert " ".join(scene.breaker.explain().split()) in text


def test_last_changes_are_told_with_their_reasons(scene: Scene):
    text = "\n".join(drawn(scene, 20))

    assert "3.0 s  closed → open: 5 failures in a row" in text
    assert "14.2 s  half-open → closed" in text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (300, 60)])
def test_picture_fits_the_terminal(scene: Scene, width: int, height: int):
    lines = drawn(scene, 20, width, height)

    assert len(lines) <= height
    assert len({len(text) for text in lines}) == 1
    assert "half-open" in lines[-2]


def test_picture_keeps_its_height_while_the_run_goes_on(scene: Scene):
    changes = scene.recording.changes.copy()

    scene.recording.changes.clear()
    before = drawn(scene, 1)
    scene.recording.changes.extend(changes)

    assert len(drawn(scene, 20)) == len(before)
