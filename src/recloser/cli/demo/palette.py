"""One look for endings and states, on the terminal and in the picture.

Colours are Okabe and Ito's (2008), told apart with every kind of colour vision; a
letter or a label always says the same again.
"""

from __future__ import annotations

from dataclasses import dataclass

from .records import Ending


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Colour, letter on the terminal and, for an ending, marker in the picture."""

    colour: str
    letter: str
    marker: str = ""


ENDINGS = {
    Ending.OK: Look(colour="#009E73", letter="·", marker="o"),
    Ending.FAILED: Look(colour="#D55E00", letter="x", marker="x"),
    Ending.TIMED_OUT: Look(colour="#CC79A7", letter="T", marker="v"),
    Ending.REJECTED: Look(colour="#56B4E9", letter="-", marker="|"),
}

STATES = {
    "closed": Look(colour=ENDINGS[Ending.OK].colour, letter="━"),
    "open": Look(colour=ENDINGS[Ending.REJECTED].colour, letter="█"),
    "half_open": Look(colour="#E69F00", letter="▒"),
}
"""A state has the colour of what callers get in it; half-open is between."""
