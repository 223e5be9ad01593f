"""The picture: lost seconds against calls wasted on a dead server, by policy."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

from .checks import Runs, of
from .jobs import PAGE_SIZES, TABLE_STYLES
from .policies import POLICIES, RECOMMENDED
from .scenarios import SCENARIOS

PICTURE = Path(__file__).parents[2] / "docs" / "recovery.png"


def draw(runs: Runs) -> None:
    """Write the picture; needs matplotlib."""
    import matplotlib as mpl  # noqa: PLC0415 - only who wants the picture needs it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - the same

    figure, axes = plt.subplots(figsize=(8, 5), dpi=100)
    for policy in POLICIES:
        which = {"policy": policy, "sizes": PAGE_SIZES, "styles": TABLE_STYLES}
        each = [of(runs, name, **which) for name in SCENARIOS]
        if not all(each):
            continue
        lost = sum(mean(run["lost"] for run in some) for some in each)
        wasted = sum(mean(run["wasted"] for run in some) for some in each) / 1000
        colour = "#c8442e" if policy == RECOMMENDED else "#7a8aa0"
        axes.plot(wasted, lost, "o", color=colour)
        axes.annotate(
            policy,
            (wasted, lost),
            xytext=(5, 4),
            textcoords="offset points",
            fontsize=8,
        )
    axes.set(xscale="log", yscale="log")
    axes.set_xlabel("calls to a dead server, thousands, sum of 16 scenarios")
    axes.set_ylabel("seconds of full traffic lost, sum of 16 scenarios")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(PICTURE)
