"""The tasks that real workers run in the tests. Brokers and results are folders."""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery
from celery.exceptions import Ignore

from recloser import CircuitBreaker, Wait
from recloser.integrations.celery import guard

FOLDER = Path(os.environ.get("RECLOSER_CELERY_FOLDER", "."))

app = Celery("orders", broker="filesystem://", backend=f"file://{FOLDER}/results")
app.conf.update(
    broker_transport_options={
        "data_folder_in": f"{FOLDER}/queue",
        "data_folder_out": f"{FOLDER}/queue",
        "control_folder": f"{FOLDER}/control",
        "polling_interval": 0.02,
    },
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
)


def clock() -> float:
    """Read what the test says."""
    file = FOLDER / "clock"
    return float(file.read_text("utf-8")) if file.exists() else 0.0


breaker = CircuitBreaker("payments", trip=2, recovery=Wait(1, jitter=0), clock=clock)
shut = CircuitBreaker("shut")
shut.force_open()


class ProviderError(Exception):
    """The provider is down."""


def provider() -> str:
    """Be down while there is a file that says so."""
    if (FOLDER / "down").exists():
        raise ProviderError
    return "charged"


@app.task(base=guard(breaker, retry=True), max_retries=0)
def charge() -> tuple[str, int]:
    with (FOLDER / "runs").open("a") as runs:
        runs.write("run\n")
    return provider(), os.getpid()


@app.task(
    base=guard(breaker, retry=True),
    autoretry_for=(ProviderError,),
    default_retry_delay=0,
)
def insist() -> str:
    return provider()


@app.task(base=guard(shut))
def refuse() -> str:
    return "never"


@app.task(base=guard(breaker))
def skip() -> None:
    raise Ignore


@app.task
def look() -> tuple[str, int, int, int]:
    totals = breaker.snapshot().totals
    return str(breaker.state), totals.successes, totals.failures, totals.neutral
