"""What PostgreSQL's error codes (SQLSTATE, appendix A of its manual) say of the server."""

from __future__ import annotations

from typing import Final

TROUBLED: Final = ("08", "53", "58", "F0", "XX")
"""Classes: connection exception, insufficient resources, system, configuration, internal."""

GOING: Final = {"57P01", "57P02", "57P03"}
"""Shutting down, crashing, starting up."""

IDLE: Final = {"25P03", "57P05", "25P04"}
"""The server hung up on a session or transaction that its client had left too long."""

CANCELLED: Final = "57014"


def is_trouble(sqlstate: str, message: str) -> bool | None:
    """Tell whether a code blames the server; None where it says nothing about it.

    A cancelled statement is the server's trouble if a timeout did it, and says nothing
    if a person did; the two differ in their message only.
    """
    if sqlstate in IDLE:
        return None
    if sqlstate == CANCELLED:
        return None if "user request" in message else True
    return sqlstate in GOING or sqlstate.startswith(TROUBLED)
