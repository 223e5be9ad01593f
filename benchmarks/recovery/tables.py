"""The table of policies, and the page that it goes into."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import mean

from . import checks
from .checks import Runs, of
from .jobs import PAGE_SIZES, TABLE_STYLES
from .policies import POLICIES
from .scenarios import SCENARIOS

PAGE = Path(__file__).parents[2] / "docs" / "recovery.md"


def policies(runs: Runs) -> str:
    """Return lost seconds by policy and scenario."""
    head = ["policy", *SCENARIOS, "**all**", "never", "wasted, 1,000s"]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    for policy in POLICIES:
        which = {"policy": policy, "sizes": PAGE_SIZES, "styles": TABLE_STYLES}
        found = of(runs, *SCENARIOS, **which)
        each = [of(found, name, **which) for name in SCENARIOS]
        if not all(each):
            continue
        lost = [mean(run["lost"] for run in some) for some in each]
        wasted = sum(mean(run["wasted"] for run in some) for some in each) / 1000
        never = mean(run["never"] for run in found)
        cells = [f"{seconds:.0f}" for seconds in lost]
        cells += [f"**{sum(lost):.0f}**", f"{never:.0%}", f"{wasted:.0f}"]
        lines.append(f"| {policy} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def sizes(runs: Runs) -> str:
    """Return what a fleet's size does to the recommended policy."""
    lines = ["| N | lost, sum of 16 | never |", "| ---: | ---: | ---: |"]
    for size in (1, 100, 1000):
        found = of(runs, *SCENARIOS, sizes=(size,), styles=("none",))
        each = [of(found, name, sizes=(size,), styles=("none",)) for name in SCENARIOS]
        if all(each):
            total = sum(mean(run["lost"] for run in some) for some in each)
            never = mean(run["never"] for run in found)
            lines.append(f"| {size:,} | {total:.0f} | {never:.0%} |")
    return "\n".join(lines)


def write_page(runs: Runs) -> None:
    """Put the tables between their marks on the page."""
    text = PAGE.read_text("utf-8")
    made = {
        "policies": policies(runs),
        "acceptance": checks.table(runs),
        "sizes": sizes(runs),
    }
    for name, table in made.items():
        marks = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        text = re.sub(
            marks,
            lambda at, table=table: f"{at[1]}{table}\n{at[2]}",
            text,
            flags=re.DOTALL,
        )
    PAGE.write_text(text, encoding="utf-8")
