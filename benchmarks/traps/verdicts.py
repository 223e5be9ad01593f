"""What one library made of the traps, in a process of its own."""

from __future__ import annotations

import gc
import os
import threading
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from . import flavours, shapes, stories

if TYPE_CHECKING:
    from ..subjects import Library
    from .stories import Trap

LONGEST: Final = 12.0
"""Seconds until a story that does not end is taken for stuck."""
PASSED: Final = "passed"
MISSING: Final = "-"

stories.TRAPS.sort(key=lambda each: each.tell.__module__ == shapes.__name__)


@dataclass
class Telling:
    """One trap told once, on a thread that can be given up."""

    trap: Trap
    library: Library
    flavour: str | None
    verdict: str = "blocks its callers"

    def run(self) -> None:
        thread = threading.Thread(target=self._judge, daemon=True)
        thread.start()
        thread.join(LONGEST)

    def _judge(self) -> None:
        made: list[flavours.Calls] = []
        remember(made)
        try:
            chosen = () if self.flavour is None else (self.flavour,)
            self.trap.tell(self.library, *chosen)
            self.verdict = PASSED
        except flavours.NotOffered:
            self.verdict = MISSING
        except flavours.CaughtError as how:
            self.verdict = str(how)
        except BaseException as error:  # noqa: BLE001 - a rival may fail in any way
            self.verdict = f"breaks: {type(error).__name__}: {error}"[:80]
        for each in made:
            each.close()


def remember(made: list[flavours.Calls]) -> None:
    """Have calls that are made on this thread be closed afterwards."""
    here = threading.get_ident()
    for flavour, make in ORIGINALS.items():

        def making(guards: Any, make: Any = make) -> flavours.Calls:
            through: flavours.Calls = make(guards)
            if threading.get_ident() == here:
                made.append(through)
            return through

        flavours.FLAVOURS[flavour] = making


ORIGINALS: Final = dict(flavours.FLAVOURS)


def judge(library: Library) -> dict[str, dict[str, str]]:
    """Tell a library every story; return its verdicts by trap and flavour."""
    warnings.simplefilter("ignore")  # coroutines that nobody awaits are the rival's
    found: dict[str, dict[str, str]] = {}
    for each in stories.TRAPS:
        kinds: tuple[str | None, ...] = each.flavours or (None,)
        verdicts = found[each.name] = {}
        for flavour in kinds:
            telling = Telling(each, library, flavour)
            telling.run()
            verdicts[flavour or ""] = telling.verdict
        gc.collect()
    return found


def leave() -> None:
    """End the process, whatever threads still hang in a library."""
    os._exit(0)
