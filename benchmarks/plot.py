"""The picture: ratio to the empty wrapper by library, and who lets the herd in."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from .subjects import OURS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .figures import Figure, Run

_PANELS: Final = (
    ("sync", "streak", "f(1, 2)", "success, decorated function\nx empty wrapper"),
    (
        "async",
        "streak",
        "f(1, 2)",
        "success, coroutine function\nx empty async wrapper",
    ),
    ("sync failure", "streak", "f(1, 2)", "counted failure\nx empty wrapper"),
    (
        "sync rejection",
        "open",
        "f(1, 2)",
        "rejection while open\nx raising the same fields",
    ),
)
_HERD: Final = (
    "herd",
    "async",
    "first wave",
    "of 1,000 tasks at half-open,\nadmitted at once",
)
OURS_COLOUR, OTHER, REFERENCE = "#c8442e", "#7a8aa0", "#c9ced6"


def draw(runs: Sequence[Run], target: Path) -> None:
    """Write PNG and SVG of the newest interpreter's run; say so without matplotlib."""
    try:
        from matplotlib import pyplot as plt  # noqa: PLC0415 - an extra
    except ImportError:
        sys.stderr.write("NOT DRAWN: matplotlib is not installed (extra `bench`)\n")
        return
    run = chosen(runs)
    places = [*_PANELS, _HERD]
    picture, axes = plt.subplots(1, len(places), figsize=(22, 7))
    for axis, (group, case, shape, title) in zip(axes, places, strict=True):
        found = [
            each
            for each in run.figures
            if (each.group, each.case, each.shape) == (group, case, shape)
        ]
        panel(axis, found, title, ratios=group != "herd")
    picture.suptitle(
        f"{run.interpreter}, {run.date}: shorter is better, scale is logarithmic"
    )
    picture.tight_layout()
    for suffix in (".png", ".svg"):
        picture.savefig(
            target.with_suffix(suffix),
            dpi=80,
            metadata={"Date": None} if suffix == ".svg" else None,
        )
    plt.close(picture)


def chosen(runs: Sequence[Run]) -> Run:
    """Return the run to draw: the newest one with the most libraries."""
    return max(runs, key=lambda run: (len(run.libraries), run.interpreter))


def panel(axis: Any, found: Sequence[Figure], title: str, *, ratios: bool) -> None:
    """Draw one panel of horizontal bars, cheapest on top."""
    pairs = sorted((height(each, ratios=ratios), each.subject) for each in found)
    values = [value for value, _ in pairs]
    names = [name for _, name in pairs]
    bars = axis.barh(names, values, color=[colour(name) for name in names])
    axis.bar_label(
        bars,
        [f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in values],
        padding=3,
        fontsize=8,
    )
    axis.set_xscale("log")
    axis.set_xlim(min(values, default=1) / 2, max(values, default=1) * 4)
    axis.invert_yaxis()
    axis.axvline(1, color="black", linewidth=0.8, linestyle=":")
    axis.set_title(title, fontsize=10)
    axis.tick_params(labelsize=8)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def height(figure: Figure, *, ratios: bool) -> float:
    """Return the length of a bar; at least a little, for the logarithm."""
    value = figure.ratio if ratios else figure.value
    return max(value or 0.0, 1e-3)


def colour(name: str) -> str:
    """Return the colour of a bar."""
    if name.startswith("(ref)"):
        return REFERENCE
    return OURS_COLOUR if name.startswith(OURS) else OTHER
