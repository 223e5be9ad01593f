"""A shop under gunicorn: what its workers do with one breaker, and their figures."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from recloser import CircuitBreaker, CircuitOpenError, TimeWindow, add_listener
from recloser import FailureRate as Rate
from recloser.listeners.prometheus import PrometheusListener

add_listener(PrometheusListener(every=float(os.environ["EVERY"])))
payments = CircuitBreaker("payments", trip=Rate(0.9, window=TimeWindow(60)))


def fail() -> None:
    raise OSError


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Do what the path says; answer with the worker's pid, or the figures of all."""
    body = str(os.getpid()).encode()
    with suppress(CircuitOpenError, OSError):
        match environ["PATH_INFO"]:
            case "/call":
                payments.call(str)
            case "/fail":
                payments.call(fail)
            case "/trip":
                payments.trip()
            case "/metrics":
                registry = CollectorRegistry()
                MultiProcessCollector(registry)
                body = generate_latest(registry)
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
