"""The verdicts as a table for people."""

from __future__ import annotations

from typing import Any

from .verdicts import MISSING, PASSED

Verdicts = dict[str, dict[str, str]]


def caught(verdicts: Verdicts) -> int:
    """Return in how many traps a library was caught."""
    return sum(cell(each) not in {PASSED, MISSING} for each in verdicts.values())


def passed(verdicts: Verdicts) -> int:
    """Return how many traps a library passed, with every kind of call it offers."""
    return sum(cell(each) == PASSED for each in verdicts.values())


def cell(verdicts: dict[str, str]) -> str:
    """Return one verdict for the kinds of calls that a library offers."""
    offered = {kind: words for kind, words in verdicts.items() if words != MISSING}
    if not offered:
        return MISSING
    bad = {kind: words for kind, words in offered.items() if words != PASSED}
    if not bad:
        return PASSED
    if len(set(offered.values())) == 1:
        return next(iter(bad.values()))
    return "; ".join(f"{kind}: {words}" for kind, words in bad.items())


def text(run: dict[str, Any]) -> str:
    """Return the summary and the whole table, as Markdown."""
    verdicts: dict[str, Verdicts] = run["verdicts"]
    order = sorted(verdicts, key=lambda name: (caught(verdicts[name]), name))
    lines = [
        f"Traps on {run['interpreter']}",
        "",
        "| library | passed | caught | not offered |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name in order:
        good, bad = passed(verdicts[name]), caught(verdicts[name])
        rest = len(verdicts[name]) - good - bad
        lines.append(f"| {name} {run['libraries'][name]} | {good} | {bad} | {rest} |")
    lines += ["", f"| trap | {' | '.join(order)} |", "| --- " * (len(order) + 1) + "|"]
    for trap in verdicts[order[0]]:
        cells = [cell(verdicts[name][trap]) for name in order]
        lines.append(f"| {trap} | {' | '.join(cells)} |")
    lines += [f"not judged: {name}: {why}" for name, why in run["missing"].items()]
    return "\n".join(lines) + "\n"
