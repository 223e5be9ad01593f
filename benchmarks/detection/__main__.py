"""`python -m benchmarks.detection`: the checks, the table of rules, the picture.

`--part 0.1` simulates a tenth of the days and of the runs. What is written says so.
`--report` measures nothing: it makes the page and the picture of `results.json`.
"""

from __future__ import annotations

import argparse
import json
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .checks import HEALTHY, delays, fast, quiet
from .compiled import everybody
from .shapes import shapes
from .traffic import a_day, constant, every, false_trips, hourly, patchy

if TYPE_CHECKING:
    from .traffic import Plan

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "tripping.md"
BEGIN, END = "<!-- detection -->", "<!-- detection end -->"


def false_alarms() -> dict[str, tuple[Plan, float]]:
    """Return healthy traffic by name: its rate, and the chance that a failure repeats."""
    steady = {f"a day at {rate:.0%}": (constant(rate), 0.0) for rate in HEALTHY[1:]}
    return {
        **steady,
        "hourly 1/15%": (hourly(0.01, 0.15), 0.0),
        "patchy 0.5/10%": (patchy(12, 0.005, 0.1, 60, 10), 0.0),
        "patchy 0.2/18%": (patchy(13, 0.002, 0.18, 60, 10), 0.0),
        "20 s at 30% an hour": (every(3600, 20, 0.005, 0.3), 0.0),
        "1 s dead in 10 min": (every(600, 1, 0.001, 1.0), 0.0),
        "1%, each repeats at 50%": (constant(0.005), 0.5),
    }


FAULTS = (
    (0.01, 0.3, 10),
    (0.01, 0.5, 10),
    (0.01, 1.0, 10),
    (0.1, 0.5, 10),
    (0.1, 1.0, 10),
    (0.01, 1.0, 100),
)


def compare(part: float, runs: int) -> list[dict[str, object]]:
    """Return what each rule does, at 10 calls a second unless its name says more."""
    rows: list[dict[str, object]] = []
    for position, one in enumerate(everybody()):
        days = 30 * part
        row: dict[str, object] = {"rule": one.name, "days": days}
        for name, (plan, again) in false_alarms().items():
            rule = everybody()[position]
            trips = false_trips(rule, plan, 10, days, 14, again)
            row[name] = round(a_day(trips, days), 2)
        for usual, fault, speed in FAULTS:
            calls, p95, _, _ = delays(
                lambda at=position: everybody()[at], usual, fault, speed, runs
            )
            fast = "" if speed == 10 else f" at {speed}/s"
            row[f"{usual:.0%} to {fault:.0%}{fast}"] = [calls, p95]
        print(row, flush=True)
        rows.append(row)
    return rows


def table(rows: list[dict[str, object]], *, delays: bool) -> str:
    """Return the false trips a day as Markdown, or the calls until it opens."""
    kinds = {name for name, one in rows[0].items() if isinstance(one, list) is delays}
    names = ["rule", *(name for name in rows[0] if name in kinds - {"rule", "days"})]
    lines = ["| " + " | ".join(names) + " |", "| --- " * len(names) + "|"]
    for row in rows:
        cells = [_cell(row[name]) for name in names]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, list):
        return " / ".join("never" if one is None else f"{one:.0f}" for one in value)
    return str(value)


def report(found: dict[str, Any]) -> str:
    """Return what was measured as Markdown, with the sizes it was measured at."""
    rows, checks = found["rules"], found["checks"]
    missed = [check for check in checks if _ratio(check) > 1]
    return (
        f"False trips in a day of closed time, from {rows[0]['days']:g} simulated days each:\n\n"
        f"{table(rows, delays=False)}\n\n"
        f"Calls until it opens after a jump, median / p95 of {found['runs']} runs:\n\n"
        f"{table(rows, delays=True)}\n\n"
        f"Of {len(checks)} figures with a limit {len(checks) - len(missed)} are within it. "
        "Of each check, the figure that is nearest to its limit or farthest beyond:\n\n"
        f"{summary(checks)}"
    )


def summary(checks: list[dict[str, Any]]) -> str:
    """Return one row for each check: the figure that is the worst for it."""
    worst: dict[str, tuple[float, dict[str, Any]]] = {}
    for check in checks:
        ratio = _ratio(check)
        if ratio >= worst.get(check["check"], (-1.0, {}))[0]:
            worst[check["check"]] = ratio, check
    lines = ["| check | figure | limit | measured |", "| --- | --- | --- | --- |"]
    for name in sorted(worst, key=lambda name: int(name[1:])):
        check = worst[name][1]
        never = check["measured"] is None
        measured = "never" if never else f"{check['measured']:.3g}"
        lines.append(f"| {name} | {check['what']} | {check['limit']:g} | {measured} |")
    return "\n".join(lines)


def _ratio(check: dict[str, Any]) -> float:
    limit, measured = check["limit"], check["measured"]
    if measured is None:
        return float("inf")
    return measured / limit if limit else 1.0 + measured if measured else 0.0


def write_page(text: str) -> None:
    """Put the tables where the page has its marks."""
    head, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    tail = rest.partition(END)[2]
    PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", "utf-8")


def draw(rows: list[dict[str, object]], path: Path) -> None:
    """Plot noise against delay, one point for each rule."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5))
    for row in rows:
        noise = max(float(str(row["a day at 10%"])), 0.01)
        calls = row["1% to 50%"]
        assert isinstance(calls, list)
        axes.scatter(calls[0], noise, label=str(row["rule"]))
    axes.set(xscale="log", yscale="log", xlabel="calls from 1 % to 50 % until it opens")
    axes.set_xticks([10, 20, 50, 100, 200], [10, 20, 50, 100, 200])
    axes.minorticks_off()
    axes.legend(fontsize=8)
    axes.set_ylabel("false trips a day at a steady 10 % (0.01: none seen)")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def measure(part: float, runs: int) -> dict[str, Any]:
    """Return everything, told while it is found."""
    results = []
    for check in chain(fast(runs), shapes(part), quiet(part)):
        print(f"{'ok  ' if check.holds else 'FAIL'} {check}", flush=True)
        results.append(check._asdict())
    rows = compare(part, runs)
    return {"part": part, "runs": runs, "checks": results, "rules": rows}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection")
    parser.add_argument("--part", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    results: Path = options.out / "results.json"
    if not options.report:
        found = measure(options.part, max(60, int(300 * options.part)))
        text = json.dumps(found, indent=1).replace("Infinity", "null")
        results.write_text(text + "\n", "utf-8")
    found = json.loads(results.read_text("utf-8"))
    write_page(report(found))
    draw(found["rules"], options.out / "frontier.png")
    print(report(found))
    return sum(_ratio(check) > 1 for check in found["checks"])


if __name__ == "__main__":
    raise SystemExit(main())
