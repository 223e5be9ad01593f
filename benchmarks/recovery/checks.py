"""The acceptance numbers: each a limit, and what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import mean
from typing import Any, NamedTuple

from .jobs import BUSY, TABLE_SIZES, TABLE_STYLES
from .policies import ON_OFF, RECOMMENDED, RIVAL
from .scenarios import SCENARIOS

Run = dict[str, Any]
Runs = list[Run]


class Check(NamedTuple):
    """One number to keep."""

    number: str
    what: str
    limit: str
    measure: Callable[[Runs], tuple[bool, str]]


def of(
    runs: Iterable[Run],
    *scenarios: str,
    policy: str = RECOMMENDED,
    sizes: tuple[int, ...] = (1, 100),
    load: float = 0.7,
    styles: tuple[str, ...] = ("none", "naive", "budget"),
    hint: float | None = None,
) -> Runs:
    """Return the runs that a number is about."""
    return [
        run
        for run in runs
        if run["policy"] == policy
        and run["scenario"] in scenarios
        and run["clients"] in sizes
        and run["retries"] in styles
        and run["load"] == load
        and run["hint"] == hint
    ]


ALL = (1, 100, 1000)


def worst(runs: Runs, what: str) -> tuple[float, float]:
    values = [run[what] for run in runs]
    return mean(values), max(values)


def at_most(
    scenario: str, what: str, limit: float, **which: Any
) -> Callable[[Runs], tuple[bool, str]]:
    """Return a check that no run of a scenario is above a limit."""

    def measure(runs: Runs) -> tuple[bool, str]:
        middle, most = worst(of(runs, *scenario.split(), **which), what)
        return most <= limit, f"mean {middle:.2f}, worst {most:.2f}"

    return measure


def at_least(
    scenario: str, what: str, limit: float, **which: Any
) -> Callable[[Runs], tuple[bool, str]]:
    """Return a check that no run of a scenario is below a limit."""

    def measure(runs: Runs) -> tuple[bool, str]:
        values = [run[what] for run in of(runs, scenario, **which)]
        return min(values) >= limit, f"mean {mean(values):.1%}, worst {min(values):.1%}"

    return measure


def both(
    *parts: Callable[[Runs], tuple[bool, str]],
) -> Callable[[Runs], tuple[bool, str]]:
    """Return a check of which every part must hold."""

    def measure(runs: Runs) -> tuple[bool, str]:
        found = [part(runs) for part in parts]
        return all(ok for ok, _ in found), "; ".join(text for _, text in found)

    return measure


def _mean_at_most(scenario: str, what: str, limit: float, **which: Any) -> Any:
    def measure(runs: Runs) -> tuple[bool, str]:
        middle, most = worst(of(runs, scenario, **which), what)
        return middle <= limit, f"mean {middle:.2f}, worst {most:.2f}"

    return measure


def _escapes(*scenarios: str, **which: Any) -> Any:
    def measure(runs: Runs) -> tuple[bool, str]:
        stuck = sum(run["never"] for run in of(runs, *scenarios, **which))
        return stuck == 0, f"{stuck} runs not recovered"

    return measure


def _partial(runs: Runs) -> tuple[bool, str]:
    values = [run["goodput"] for run in of(runs, "partial", sizes=ALL)]
    return mean(values) >= 0.82, f"mean of all N {mean(values):.1%}"


def _dead(runs: Runs) -> tuple[bool, str]:
    found = of(runs, "out5m", sizes=ALL, styles=("none",))
    rate = max(run["per_client"] for run in found)
    share = max(run["of_own"] for run in found)
    which: dict[str, Any] = {"sizes": (100,), "styles": TABLE_STYLES}
    ours, without = (
        mean(run["wasted"] for run in of(runs, "out5m", policy=policy, **which))
        for policy in (RECOMMENDED, "no breaker")
    )
    text = f"{rate:.2f} per s and client; {share:.1%} of its own traffic; "
    text += f"{ours / without:.1%} of no breaker (N = 100)"
    return rate <= 0.5 and share <= 0.11 and ours <= 0.02 * without, text


def _totals(
    runs: Runs, ours: str, theirs: str, scenarios: Iterable[str], **which: Any
) -> tuple[float, float, Runs]:
    """Sum what two policies lose, from the runs that were made for both."""
    sums, found = [0.0, 0.0], []
    for name in scenarios:
        lost = [
            {_what(run): run for run in of(runs, name, policy=policy, **which)}
            for policy in (ours, theirs)
        ]
        pairs = [(lost[0][key], lost[1][key]) for key in lost[0] if key in lost[1]]
        found += [mine for mine, _ in pairs]
        for at in (0, 1):
            sums[at] += mean(pair[at]["lost"] for pair in pairs)
    return sums[0], sums[1], found


def _what(run: Run) -> tuple[Any, ...]:
    return run["clients"], run["retries"], run["seed"]


def _busy(runs: Runs) -> tuple[bool, str]:
    which = {"sizes": TABLE_SIZES, "styles": ("naive",), "load": 0.9}
    ramp, plain, _ = _totals(runs, RECOMMENDED, ON_OFF, BUSY, **which)
    return ramp <= plain, f"{ramp:.0f} against {plain:.0f}"


def _rival(runs: Runs) -> tuple[bool, str]:
    which = {"sizes": TABLE_SIZES, "styles": TABLE_STYLES}
    ours, theirs, found = _totals(runs, RECOMMENDED, RIVAL, SCENARIOS, **which)
    stuck = sum(run["never"] for run in found)
    share = ours / theirs
    text = f"{ours:.0f} against {theirs:.0f}: {share:.0%}; {stuck} runs not recovered"
    return share <= 0.85 and not stuck, text


def _ramp_costs(runs: Runs) -> tuple[bool, str]:
    which = {"sizes": TABLE_SIZES, "styles": TABLE_STYLES}
    ramp, plain, _ = _totals(runs, RECOMMENDED, ON_OFF, ("deploy",), **which)
    return ramp - plain <= 2, f"{ramp - plain:.2f} s"


def _hint(runs: Runs) -> tuple[bool, str]:
    which = {"sizes": TABLE_SIZES, "styles": ("none",)}
    without = max(run["lag"] for run in of(runs, "out5m", **which))
    hinted = max(run["lag"] for run in of(runs, "out5m", hint=3600.0, **which))
    return hinted <= 42, f"worst lag {hinted:.0f} s; without a hint {without:.0f} s"


CHECKS = (
    Check("A1", "deploy of 2 s: lost", "<= 4 s every run", at_most("deploy", "lost", 4)),
    Check("A2", "out30: goodput; lag", ">= 94 %; <= 8 s", both(at_least("out30", "goodput", 0.94), at_most("out30", "lag", 8))),
    Check("A3", "out5m: lag; goodput", "<= 42 s; >= 74 %", both(at_most("out5m", "lag", 42), at_least("out5m", "goodput", 0.74))),
    Check("A4", "hang60: lag; goodput", "<= 11 s; >= 91 %", both(at_most("hang60", "lag", 11), at_least("hang60", "goodput", 0.91))),
    Check("A5", "flap: lost of 120 good seconds", "<= 23 s", at_most("flap", "lost", 23)),
    Check("A6", "brown: goodput; lag", ">= 88 %; <= 11 s", both(at_least("brown", "goodput", 0.88), at_most("brown", "lag", 11))),
    Check("A7", "cold: goodput; peak, all N", ">= 84 %; mean <= 2.2x, any <= 3.0x", both(at_least("cold", "goodput", 0.84), at_most("cold", "peak", 3.0, sizes=ALL), _mean_at_most("cold", "peak", 2.2, sizes=ALL))),
    Check("A8", "spike, naive retries: escapes; lag; peak after it", "always; <= 8 s; <= 0.9x", both(_escapes("spike", styles=("naive",)), at_most("spike", "lag", 8, styles=("naive",)), at_most("spike", "peak", 0.9, styles=("naive",)))),
    Check("A9", "thrash: escapes, all N; lag", "always; <= 15 s", both(_escapes("thrash", sizes=ALL), at_most("thrash", "lag", 15))),
    Check("A10", "partial: goodput; mean of all N", ">= 78 %; >= 82 %", both(at_least("partial", "goodput", 0.78), _partial)),
    Check("A11", "herd: lag; peak, all N", "<= 20 s; <= 1.5x", both(at_most("herd", "lag", 20), at_most("herd", "peak", 1.5, sizes=ALL))),
    Check("A12", "crash: not recovered, all N; crashes per run; lost", "0 runs; <= 0.2; mean <= 35 s", both(_escapes("crash", sizes=ALL), _mean_at_most("crash", "crashes", 0.2), _mean_at_most("crash", "lost", 35))),
    Check("A13", "N = 1000: lag after deploy, out10, out30, hang60", "<= 32 s", at_most("deploy out10 out30 hang60", "lag", 32, sizes=(1000,))),
    Check("A14", "out5m: calls to the dead server, per client, of its own traffic, and in all", "<= 0.5 per s; <= 11 %; <= 2 % of no breaker", _dead),
    Check("A15", "90 % load, sum over 11 scenarios: with the ramp, without", "<= without", _busy),
    Check("A16", "sum of 16 against 5 s and 1 probe", "<= 85 %, all recover", _rival),
    Check("A17", "deploy: what the ramp adds", "<= 2 s", _ramp_costs),
    Check("A18", "out5m: a hint of one hour", "capped: lag <= 42 s", _hint),
)  # fmt: skip


def table(runs: Runs) -> str:
    """Return the numbers as a Markdown table."""
    lines = ["| # | check | limit | measured | |", "| --- | --- | --- | --- | --- |"]
    for check in CHECKS:
        try:
            ok, text = check.measure(runs)
        except ValueError:  # no such runs
            ok, text = False, "not run"
        mark = "kept" if ok else "missed"
        lines.append(
            f"| {check.number} | {check.what} | {check.limit} | {text} | {mark} |"
        )
    return "\n".join(lines)
