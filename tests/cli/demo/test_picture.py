from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.image import imread

from recloser.cli.demo import picture
from recloser.cli.demo.figures import Figures, figures
from recloser.cli.demo.palette import STATES
from recloser.cli.demo.records import Client, Recording
from recloser.cli.demo.story import Story

SCRIPT, CALLS, VISITS, RECOVERY, STATES_BAND, GUARDED_CALLS, _ = range(7)


def figures_of(recording: Recording) -> dict[Client, Figures]:
    return {client: figures(recording, client) for client in Client}


@pytest.fixture
def drawn(recording: Recording) -> Figure:
    return picture.draw(recording, figures_of(recording))


def marks(figure: Figure, axes: int) -> set[tuple[float, float]]:
    collections = figure.axes[axes].collections
    scattered = [c for c in collections if isinstance(c, PathCollection)]
    return {(x, round(y, 6)) for c in scattered for x, y in c.get_offsets()}


def words(figure: Figure, axes: int) -> list[str]:
    return [text.get_text() for text in figure.axes[axes].texts]


def test_every_call_is_one_mark_in_its_clients_lane(drawn: Figure):
    assert marks(drawn, CALLS) == {
        (1.0, 0.02),
        (3.0, 0.01),
        (7.0, 1.0),
        (7.5, 1.0),
        (18.0, 0.03),
    }
    assert marks(drawn, GUARDED_CALLS) == {
        (1.0, 0.04),
        (3.0, 0.01),
        (7.0, 0.00002),
        (18.0, 0.02),
    }


def test_marks_are_named_beside_them(drawn: Figure):
    assert {"2 answered", "1 failed", "2 timed out"} <= set(words(drawn, CALLS))
    assert "1 rejected" in words(drawn, GUARDED_CALLS)


def test_band_shows_each_state_for_as_long_as_it_lasted(drawn: Figure):
    bars = drawn.axes[STATES_BAND].patches

    spans = [(bar.get_x(), round(bar.get_width(), 6)) for bar in bars]

    assert spans == [(0, 3), (3, 11), (14, 0.2), (14.2, 5.8)]


def test_states_that_last_are_named_in_the_band_and_all_beside_it(drawn: Figure):
    assert words(drawn, STATES_BAND)[:3] == ["closed", "open", "closed"]
    assert words(drawn, STATES_BAND)[3:] == ["closed", "open", "half-open"]
    assert len({look.colour for look in STATES.values()}) == 3


def test_script_names_every_stage(recording: Recording, drawn: Figure):
    names = [stage.act.value for stage in recording.story.stages]

    assert words(drawn, SCRIPT)[: len(names)] == names


def test_both_lanes_count_visits_on_the_same_scale(drawn: Figure):
    assert drawn.axes[VISITS].get_ylim() == drawn.axes[-1].get_ylim()


def test_time_to_closed_is_drawn_from_the_recovery(drawn: Figure):
    assert words(drawn, RECOVERY)[-1].strip() == "1.00 s from recovery to closed"


def test_saved_pictures_open_and_are_not_blank(recording: Recording, tmp_path: Path):
    svg, png = picture.save(recording, figures_of(recording), tmp_path)

    pixels = imread(png)
    assert pixels.shape[0] > 500
    assert pixels.std() > 0.01
    assert len(list(ET.parse(svg).iter())) > 100  # noqa: S314 (our own file)


def test_run_without_a_single_call_still_makes_a_picture(tmp_path: Path):
    empty = Recording(story=Story.lasting(3), seed=1, elapsed=lambda: 0.0)

    paths = picture.save(empty, figures_of(empty), tmp_path)

    assert all(path.stat().st_size for path in paths)
