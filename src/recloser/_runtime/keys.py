"""Which share of the calls a key belongs to: the same in every process and every round.

While a part of the traffic is let through, a call with a key is not drawn at random:
its key decides, so the same tenants come back first and stay. Python's own hash differs
from process to process, so it cannot serve.
"""

from __future__ import annotations

from .._core.hints import Any

Key = str | bytes | int
"""What a key can be: values whose bytes are the same everywhere."""


def checked(key: object) -> Any:  # a key, or None
    """Return a key that `place_of` can place.

    Raises:
        TypeError: It is something whose bytes differ from process to process.
    """
    if key is None or isinstance(key, Key):
        return key
    msg = f"key must be a string, bytes or a whole number, got {key!r}"
    raise TypeError(msg)


def place_of(name: str, key: Key) -> float:
    """Return a number in [0, 1): the share that lets this key of a breaker through.

    The breaker's name is part of it, so that no tenant is the last one everywhere.
    """
    from zlib import crc32  # here: most breakers never see a key

    own = key if isinstance(key, bytes) else str(key).encode("utf-8", "replace")
    mixed = crc32(own, crc32(name.encode("utf-8", "replace")))
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):  # MurmurHash3's finish:
        mixed = (mixed ^ mixed >> shift) * factor & 0xFFFFFFFF  # neighbours scatter
    return (mixed ^ mixed >> 16) / 2**32
