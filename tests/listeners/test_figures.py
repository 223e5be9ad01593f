"""The table of figures, and the table in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

from recloser import CountWindow, TimeWindow
from recloser.listeners._figures import FIGURES, window_label

PAGE = Path(__file__).parents[2] / "docs" / "integrations.md"
KINDS = {True: "counter", False: "gauge"}
MERGES = {"sum": "added", "max": "the highest", "min": "the lowest"}


def documented():
    """Return the lines of the table as (name, labels, kind, meaning, merge)."""
    section = PAGE.read_text("utf-8").partition("### The figures")[2]
    rows = re.findall(r"^\| `.*$", section.partition("\n### ")[0], re.MULTILINE)
    for row in rows:
        name, labels, kind, meaning, merge = row.strip("| ").split(" | ")
        yield (
            name.strip("`"),
            tuple(re.findall(r"`(\w+)`", labels)),
            kind.partition(",")[0],
            meaning,
            merge,
        )


def test_documentation_has_every_figure_as_it_is():
    assert list(documented()) == [
        (
            figure.full_name,
            figure.labels,
            KINDS[figure.is_counter],
            figure.meaning,
            MERGES[figure.merge.value],
        )
        for figure in FIGURES
    ]


def test_names_are_distinct():
    names = [figure.full_name for figure in FIGURES]

    assert len(set(names)) == len(names)


def test_windows_are_labelled_by_their_length():
    labels = [window_label(TimeWindow(60)), window_label(TimeWindow(0.5))]
    labels += [window_label(CountWindow(100))]

    assert labels == ["60s", "0.5s", "100calls"]
