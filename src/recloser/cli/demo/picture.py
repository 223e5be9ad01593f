"""The run as a picture: a lane for each client under the script of the service."""

# pyright: reportUnknownMemberType=false
# (keyword arguments in matplotlib's stubs have no types)

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .panels import INK, QUIET, beside, calls, recovery, script, states, visits
from .records import Client

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .figures import Figures
    from .records import Recording

_STYLE: dict[Any, Any] = {  # the stubs list every key there is, release by release
    "font.size": 10.0,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same everywhere
    "text.color": INK,
    "axes.edgecolor": "#c8c8c8",
    "axes.labelcolor": QUIET,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "recloser",
}
_SIZE = (13, 8.4)
_HEIGHTS = (0.4, 3.0, 0.8, 0.3, 0.3, 3.0, 0.8)
_MARGINS = {"left": 0.07, "right": 0.82, "top": 0.91, "bottom": 0.065, "hspace": 0.1}


def save(
    recording: Recording, both: Mapping[Client, Figures], folder: Path
) -> list[Path]:
    """Write `timeline.svg` and `timeline.png` and return where."""
    with mpl.rc_context(_STYLE):
        figure = draw(recording, both)
        paths = [folder / "timeline.svg", folder / "timeline.png"]
        for path in paths:
            figure.savefig(path, dpi=150)
    return paths


def draw(recording: Recording, both: Mapping[Client, Figures]) -> Figure:
    """Return the figure, on axes that share the time of the run."""
    figure = Figure(figsize=_SIZE)
    shape = {"height_ratios": _HEIGHTS, **_MARGINS}
    axes = figure.subplots(len(_HEIGHTS), sharex=True, gridspec_kw=shape)
    axes[0].set_xlim(0, recording.story.seconds)
    axes[0].xaxis.set_major_locator(MaxNLocator(10, integer=True))
    script(axes[0], recording)
    recovery(axes[3], recording, both[Client.GUARDED])
    states(axes[4], recording)
    for client, upper, lower in zip(Client, axes[[1, 5]], axes[[2, 6]], strict=True):
        calls(upper, recording, client)
        beside(upper, both[client], client)
        visits(lower, recording, client)
    axes[2].set_ylim(0, max(ax.get_ylim()[1] for ax in axes[[2, 6]]))
    axes[6].set_ylim(axes[2].get_ylim())
    axes[6].set_xlabel("seconds of the run")
    _head(figure)
    return figure


def _head(figure: Figure) -> None:
    left = _MARGINS["left"]
    figure.text(left, 0.96, "One dying service, two clients", size=17, weight="bold")
    what = (
        "A mark is a call: when it began, and how long its caller waited for the end."
    )
    figure.text(left, 0.93, what, color=QUIET)
