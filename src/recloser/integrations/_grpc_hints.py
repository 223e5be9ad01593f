"""When a gRPC server wants to be asked again: gRFC A6 pushback and google.rpc.RetryInfo.

The second comes as a protocol buffer inside the trailing metadata. Four fields of three
messages are read here by hand, so that no generated code has to be installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

PUSHBACK: Final = "grpc-retry-pushback-ms"
STATUS: Final = "grpc-status-details-bin"
_RETRY_INFO: Final = b"type.googleapis.com/google.rpc.RetryInfo"
_DETAILS, _TYPE, _VALUE, _DELAY, _SECONDS, _NANOS = 3, 1, 2, 1, 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Metadata = Iterable[tuple[str, str | bytes]]


def hint_in(metadata: Metadata | None) -> float | None:
    """Return the seconds that a server asks for, or None; nonsense is no hint."""
    found = {str(key).lower(): value for key, value in metadata or ()}
    try:
        if PUSHBACK in found:
            return _milliseconds(found[PUSHBACK])
        status = found.get(STATUS)
        return _retry_delay(status) if isinstance(status, bytes) else None
    except (ValueError, IndexError, OverflowError):
        return None


def _milliseconds(value: str | bytes) -> float | None:
    text = value.decode() if isinstance(value, bytes) else value
    pushback = int(text)
    return pushback / 1000 if pushback >= 0 else None  # negative: do not retry at all


def _retry_delay(status: bytes) -> float | None:
    for number, detail in _fields(status):
        if number != _DETAILS or not isinstance(detail, bytes):
            continue
        message = dict(_fields(detail))
        info = message.get(_VALUE)
        if message.get(_TYPE) != _RETRY_INFO or not isinstance(info, bytes):
            continue
        delay = dict(_fields(info)).get(_DELAY)
        if isinstance(delay, bytes):
            return _duration(dict(_fields(delay)))
    return None


def _duration(parts: dict[int, int | bytes]) -> float | None:
    seconds, nanos = parts.get(_SECONDS, 0), parts.get(_NANOS, 0)
    if not isinstance(seconds, int) or not isinstance(nanos, int):
        return None
    return seconds + nanos / 1e9 if seconds < 1 << 63 else None  # negative


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the numbers and values of a message's fields.

    Raises:
        IndexError, ValueError: It is no protocol buffer.
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in {_FIXED64, _FIXED32}:
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(kind)
        if at + size > len(message):
            raise IndexError(size)
        yield number, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a number has no high bit
            return value, at
