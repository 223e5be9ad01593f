"""Figures for StatsD and DogStatsD, over UDP. Needs no library.

The breakers are read every `every` seconds, and within a tenth of a second after a change
of state, on a thread of their own: no guarded call resolves a name, sends a datagram or
sees an error. Nothing is sampled: what counters have grown by since they were last sent
is sent. What could not be handed to the system is sent the next time.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast, final

from ._figures import READ_AT, Series
from ._flusher import Flusher
from ._ledger import Ledger
from ._names import Names
from ._options import seconds, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .. import CircuitBreaker, Snapshot, Transition

_LARGEST = 1432  # bytes of a datagram that passes any network of 1500 in one piece

_Address = tuple[socket.AddressFamily, tuple[str | int | bytes, ...]]


@final
class StatsdListener:
    """Send the figures of all breakers it is given to StatsD: `recloser.add_listener(StatsdListener())`.

    Give it to single breakers and to groups with `listeners=[...]`. Figures are named in
    docs/integrations.md: `recloser.payments.calls.success:3|c`, and with tags
    `recloser.calls:3|c|#name:payments,outcome:success`. Safe for threads and forks; a
    process that is killed loses what it counted since it last sent.

    Several workers add up in counters. In a gauge the last to send wins: give each
    worker a tag of its own, or use the counter `state_seconds` to see how long circuits
    were open.

    Args:
        host: Where StatsD listens; a name is resolved on the sending thread. Default
            127.0.0.1.
        port: Its UDP port, 1 to 65535. Default 8125.
        prefix: What names begin with, any text without `:`, `|` or `@`. Default
            `recloser`.
        tags: Tags for every line, which makes them DogStatsD's; labels become tags, too.
            Default None: plain StatsD, labels are parts of the name.
        label: Makes the label `name` out of a breaker's name. Breakers of one label are
            added up. Default the name itself.
        names: Labels with figures of their own, at least 1; later ones share `other`.
            Default 100.
        every: Seconds, > 0, between two sendings. Default 10, StatsD's own interval.

    Raises:
        TypeError, ValueError: An option is of the wrong type or out of range.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 8125,
        prefix: str = "recloser",
        tags: Mapping[str, str] | None = None,
        label: Callable[[str], str] | None = None,
        names: int = 100,
        every: float = 10.0,
    ) -> None:
        """Check the options and begin to send."""
        self._target = (_host(host), _port(port))
        self._lines = _Lines(_prefix(prefix), tags)
        self._ledger = Ledger(label, Names(whole("names", names)))
        self._sent: dict[Series, float] = {}
        self._generation = 0
        self._socket: socket.socket | None = None
        self._address: _Address | None = None
        self._flusher = Flusher(self._flush, seconds("every", every))

    def on_attached(self, breaker: CircuitBreaker) -> Callable[[Snapshot], object]:
        """Take in a breaker."""
        return self._ledger.on_attached(breaker)

    def on_transition(self, event: Transition) -> None:  # noqa: ARG002 - it is read off the breaker
        """Have the new state sent soon."""
        self._flusher.wake()

    def flush(self) -> None:
        """Send now, on this thread. Errors are logged, not raised."""
        self._flusher.run()

    def close(self) -> None:
        """Send for the last time, and stop."""
        self._flusher.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _flush(self) -> None:
        report = self._ledger.read()
        if report.generation != self._generation:
            self._generation, self._sent = report.generation, {}
        grown = {
            series: total - self._sent.get(series, 0.0)
            for series, total in report.counters.items()
        }
        values = {series: more for series, more in grown.items() if more}
        values |= {one: now for one, now in report.gauges.items() if one[0] != READ_AT}
        for datagram, inside in _packed(self._lines.of(values)):
            self._send(datagram)
            for series in inside:  # only now: what was not sent will be
                if series[0].is_counter:
                    self._sent[series] = report.counters[series]

    def _send(self, datagram: bytes) -> None:
        try:
            family, address = self._address = self._address or _resolve(*self._target)
            if self._socket is None:
                self._socket = socket.socket(family, socket.SOCK_DGRAM)
                self._socket.setblocking(False)  # noqa: FBT003 - its only form
            self._socket.sendto(datagram, address)
        except OSError:
            self._address = None  # it may have moved, to another family even
            if self._socket is not None:
                self._socket.close()
                self._socket = None
            raise


class _Lines:
    """How a figure is written."""

    def __init__(self, prefix: str, tags: Mapping[str, str] | None) -> None:
        """Write tags, if there are any or none, but not for None."""
        if tags is not None and not isinstance(cast("object", tags), Mapping):
            msg = f"tags must be a mapping of names to values, got {tags!r}"
            raise TypeError(msg)
        self._prefix = prefix
        self._tags = None if tags is None else [_tag(*tag) for tag in tags.items()]

    def of(self, values: Mapping[Series, float]) -> Iterator[tuple[Series, bytes]]:
        """Return a line for each series."""
        for series, value in values.items():
            figure, labels = series
            letter = "c" if figure.is_counter else "g"
            number = f"{value:.15g}|{letter}"
            yield series, self._line(figure.full_name, figure.labels, labels, number)

    def _line(
        self, figure: str, keys: tuple[str, ...], labels: tuple[str, ...], number: str
    ) -> bytes:
        if self._tags is None:
            parts = [re.sub(r"[^\w-]+", "_", part) for part in labels]
            name = ".".join([self._prefix, *parts[:1], figure, *parts[1:]])
            return f"{name}:{number}".encode()
        tags = [*self._tags, *map(_tag, keys, labels)]
        ending = f"|#{','.join(tags)}" if tags else ""
        return f"{self._prefix}.{figure}:{number}{ending}".encode()


def _tag(key: str, value: str) -> str:
    return re.sub(r"[|,#\s]", "_", f"{key}:{value}")


def _packed(
    lines: Iterator[tuple[Series, bytes]],
) -> Iterator[tuple[bytes, list[Series]]]:
    """Return as many lines in a datagram as it holds."""
    packet, inside = b"", list[Series]()
    for series, line in lines:
        if packet and len(packet) + 1 + len(line) > _LARGEST:
            yield packet, inside
            packet, inside = b"", []
        packet = packet + b"\n" + line if packet else line
        inside.append(series)
    if packet:
        yield packet, inside


def _resolve(host: str, port: int) -> _Address:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    return found[0], found[4]


def _port(port: int) -> int:
    if whole("port", port) > 65535:  # noqa: PLR2004 - ports have 16 bits
        msg = f"port must be at most 65535, got {port!r}"
        raise ValueError(msg)
    return port


def _host(host: object) -> str:
    if not isinstance(host, str) or not host:
        msg = f"host must be the name or address of a host, got {host!r}"
        raise TypeError(msg)
    return host


def _prefix(prefix: object) -> str:
    if not isinstance(prefix, str) or not prefix or re.search(r"[:|@#\s]", prefix):
        msg = (
            f"prefix must be text without spaces, ':', '|', '@' and '#', got {prefix!r}"
        )
        raise ValueError(msg)
    return prefix
