"""The parts of the picture: each draws one thing on axes that it is given."""

# pyright: reportUnknownMemberType=false
# (keyword arguments in matplotlib's stubs have no types)

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, NullLocator

from .figures import percentile
from .lanes import state_spans
from .palette import ENDINGS, STATES
from .records import Client, Ending
from .story import DYING
from .wording import duration, state_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from .figures import Figures
    from .records import Call, Recording

INK = "#222222"
QUIET = "#666666"
_DYING = "#f7f0e8"
_HALO = [withStroke(linewidth=3, foreground="white")]
_RIGHT = 1.015
"""Where the words beside an axes begin, in its widths."""
_LONG = 0.25
"""Share of a caller's patience from which a call is drawn as long as it was."""
_MANY = 5000
"""Marks of one kind above which the SVG holds them as pixels, to stay small."""
_SLOTS = 80
"""Bars of visits: each a quarter of a second in a usual run."""
_KEY = (0.0, 0.058, 0.102)
"""Where the names of the states begin beside their band, in its widths."""
_LETTER = 0.0055
"""Width of a letter in the band of states, as a share of the run."""


def script(ax: Axes, recording: Recording) -> None:
    """Draw the stages and their names."""
    ax.set_axis_off()
    ax.set_ylim(-0.1, 1)
    gap = 0.003 * recording.story.seconds
    for stage in recording.story.stages:
        colour = ENDINGS[Ending.FAILED if stage.act in DYING else Ending.OK].colour
        width = stage.ends - stage.begins - gap
        ax.barh(0, width, left=stage.begins, height=0.16, color=colour)
        ax.text(stage.begins, 0.2, stage.act, color=colour, weight="bold", va="bottom")
    words = {"color": QUIET, "size": 9}
    ax.text(_RIGHT, 0.25, "the service's script", words, transform=ax.transAxes)


def calls(ax: Axes, recording: Recording, client: Client) -> None:
    """Draw a mark for each call, and a line for one that took long."""
    _shade(ax, recording)
    fastest = min((call.took for call in recording.calls), default=1e-5)
    ax.set_yscale("log")
    ax.set_ylim(fastest / 2, 5 * recording.story.patience)
    ax.yaxis.set_major_formatter(FuncFormatter(_tick))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.tick_params(bottom=False)
    ax.set_ylabel("time in the call")
    own = [call for call in recording.calls if call.client is client]
    for ending in Ending:
        ended = [call for call in own if call.ending is ending]
        _lines(ax, ended, ending, _LONG * recording.story.patience)
        _marks(ax, ended, ending)
        _name(ax, ended, ending)


def visits(ax: Axes, recording: Recording, client: Client) -> None:
    """Draw how many requests came to the service in each slot of time."""
    _shade(ax, recording)
    slot = recording.story.seconds / _SLOTS
    came = [visit.came for visit in recording.visits if visit.client is client]
    edges = [number * slot for number in range(_SLOTS + 1)]
    ax.hist(came, bins=edges, color="#8a8a8a", rwidth=0.8)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    words = {"color": QUIET, "size": 9, "ha": "right", "va": "center"}
    text = "requests at\nthe service"
    ax.text(-0.008, 0.5, text, words, transform=ax.transAxes)


def states(ax: Axes, recording: Recording) -> None:
    """Draw the breaker's states as a band, with their names where there is room."""
    seconds = recording.story.seconds
    ax.set_axis_off()
    ax.set_ylim(0, 1)
    words = {"color": INK, "size": 8, "ha": "center", "va": "center_baseline"}
    for span in state_spans(recording.changes, seconds):
        width = span.ends - span.begins
        name = state_name(span.state)
        colour = STATES[span.state].colour
        ax.barh(0.5, width, left=span.begins, height=1, color=colour)
        if width > _LETTER * seconds * len(name):
            ax.text(span.begins + width / 2, 0.5, name, words)
    for state, offset in zip(STATES, _KEY, strict=True):
        words = {"color": STATES[state].colour, "size": 9, "weight": "bold"}
        ax.text(_RIGHT + offset, 0.25, state_name(state), words, transform=ax.transAxes)


def recovery(ax: Axes, recording: Recording, figures: Figures) -> None:
    """Draw the time from the recovery to the closed breaker, above its states."""
    ax.set_axis_off()
    ax.set_ylim(0, 1)
    if not figures.recovery_to_closed:
        return
    begins = recording.story.recovery
    ends = begins + figures.recovery_to_closed
    arrow = {"arrowstyle": "<->", "color": QUIET, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", (begins, 0.25), (ends, 0.25), arrowprops=arrow)
    text = f" {duration(figures.recovery_to_closed)} from recovery to closed"
    ax.text(ends, 0.25, text, color=QUIET, size=9, va="center")


def beside(ax: Axes, figures: Figures, client: Client) -> None:
    """Write the client's name and figures to the right of its lane."""
    told = [
        (str(figures.reached_dying), "calls reached the dying service"),
        (duration(figures.waited), "spent waiting by callers"),
        (duration(figures.all_calls.p99), "p99 of a call"),
    ]
    if client is Client.GUARDED:
        told.append((duration(figures.recovery_to_closed), "from recovery to closed"))
    place = ax.transAxes
    ax.text(_RIGHT, 1, client, size=14, weight="bold", va="top", transform=place)
    for number, (value, what) in enumerate(told):
        top = 0.86 - 0.2 * number
        ax.text(_RIGHT, top, value, size=14, va="top", transform=place)
        words = {"size": 9, "color": QUIET, "va": "top"}
        ax.text(_RIGHT, top - 0.095, what, words, transform=place)


def _shade(ax: Axes, recording: Recording) -> None:
    stages = [stage for stage in recording.story.stages if stage.act in DYING]
    ax.axvspan(stages[0].begins, stages[-1].ends, color=_DYING, zorder=0, linewidth=0)


def _tick(seconds: float, _: int | None) -> str:
    return duration(seconds)


def _lines(ax: Axes, ended: Sequence[Call], ending: Ending, least: float) -> None:
    long = [call for call in ended if call.took > least]
    ax.hlines(
        [call.took for call in long],
        [call.began for call in long],
        [call.ended for call in long],
        color=ENDINGS[ending].colour,
        alpha=0.25,
        linewidth=1.2,
    )


def _marks(ax: Axes, ended: Sequence[Call], ending: Ending) -> None:
    look = ENDINGS[ending]
    filled = look.marker in "ov"
    ax.scatter(
        [call.began for call in ended],
        [call.took for call in ended],
        s=13 if filled else 20,
        marker=look.marker,
        color=look.colour,
        alpha=0.65,
        linewidths=0 if filled else 1.1,
        rasterized=len(ended) > _MANY,
    )


def _name(ax: Axes, ended: Sequence[Call], ending: Ending) -> None:
    """Write what the marks are just above them, once for each lane."""
    if not ended:
        return
    first = ending is Ending.OK  # seen before anything is wrong
    near = ended[:20] if first else ended
    above = percentile([call.took for call in near], 0.9)
    ax.text(
        ended[0].began if first else median(call.began for call in ended),
        1.5 * (above or 0),
        f"{len(ended)} {ending}",
        color=ENDINGS[ending].colour,
        weight="bold",
        ha="left" if first else "center",
        path_effects=_HALO,
    )
