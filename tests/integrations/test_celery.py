"""Celery with real worker processes; brokers and results are folders."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, Task
from celery.exceptions import Ignore, Reject, Retry
from kombu.exceptions import OperationalError

from recloser import CircuitBreaker, CircuitOpenError, State, Wait
from recloser.integrations import celery as ours
from recloser.testing import FakeClock

ROOT = Path(__file__).parents[2]
PATIENCE = 120
POLL = 0.02  # seconds between looks into a folder; Celery's own are 1 and 0.5


def until(condition: Callable[[], Any]) -> Any:
    """Wait for a worker, in another process."""
    giving_up = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < giving_up
        threading.Event().wait(POLL)
    return found


# -- without a worker ----------------------------------------------------------------


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def payments(clock: FakeClock) -> CircuitBreaker:
    return CircuitBreaker("payments", trip=2, recovery=Wait(10, jitter=0), clock=clock)


@pytest.fixture
def app() -> Iterator[Celery]:
    made = Celery("orders", broker="memory://", backend="cache+memory://")
    yield made
    made.close()


def outcomes(breaker: CircuitBreaker) -> tuple[int, int, int]:
    totals = breaker.snapshot().totals
    return totals.successes, totals.failures, totals.neutral


def test_a_run_is_a_call_however_it_is_started(app: Celery, payments: CircuitBreaker):
    @app.task(base=ours.guard(payments))
    def double(number: int) -> int:
        return 2 * number

    assert (double(2), double.apply((3,)).get(), double.run(4)) == (4, 6, 8)
    assert outcomes(payments) == (2, 0, 0)  # `run` is the bare function


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (OSError("down"), (0, 1, 0)),
        (KeyError("of ours"), (0, 0, 1)),
        (Ignore(), (0, 0, 1)),
        (Reject("bad message"), (0, 0, 1)),
        (Retry(), (0, 0, 1)),
        (Retry(exc=OSError("down")), (0, 1, 0)),
        (Retry(exc=KeyError("of ours")), (0, 0, 1)),
    ],
)
def test_how_a_task_ends_decides(
    app: Celery,
    clock: FakeClock,
    raised: Exception,
    expected: tuple[int, int, int],
):
    payments = CircuitBreaker("payments", ignore=(KeyError,), clock=clock)

    @app.task(base=ours.guard(payments))
    def fail() -> None:
        raise raised

    with pytest.raises(type(raised)):
        fail()

    assert outcomes(payments) == expected


def test_a_task_that_retries_itself_counts_what_made_it(
    app: Celery, payments: CircuitBreaker
):
    @app.task(base=ours.guard(payments), bind=True, max_retries=1)
    def insist(self: Any) -> None:
        try:
            raise OSError("down")
        except OSError as error:
            raise self.retry(exc=error, countdown=0) from error

    insist.apply()

    assert outcomes(payments) == (0, 2, 0)


def test_an_error_that_cannot_be_pickled_is_still_seen(
    app: Celery, payments: CircuitBreaker
):
    class LocalError(Exception):
        def __reduce__(self) -> Any:
            raise TypeError

    strict = payments(failures=(LocalError,))

    @app.task(base=ours.guard(strict))
    def insist() -> None:
        try:
            raise LocalError
        except LocalError as error:
            raise Retry(exc=error)  # noqa: B904 - as Celery's own `retry` does

    with pytest.raises(Retry):
        insist()

    assert outcomes(payments) == (0, 1, 0)


@pytest.mark.parametrize("retry", [True, False])
def test_direct_and_eager_runs_raise_the_rejection(
    app: Celery,
    payments: CircuitBreaker,
    retry: bool,  # noqa: FBT001
):
    @app.task(base=ours.guard(payments, retry=retry))
    def charge() -> None:
        raise AssertionError

    payments.trip()

    with pytest.raises(CircuitOpenError):
        charge()
    with pytest.raises(CircuitOpenError):
        charge.apply().get()


def test_a_base_class_of_ones_own_is_kept(app: Celery, payments: CircuitBreaker):
    class Logged(Task):
        abstract = True
        called = 0

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            Logged.called += 1
            return super().__call__(*args, **kwargs)

    @app.task(base=ours.guard(payments, base=Logged))
    def charge() -> int:
        return 1

    assert charge() == 1
    assert isinstance(charge, Logged)
    assert Logged.called == 1


@pytest.mark.parametrize("wait", [0, -1, float("nan"), float("inf")])
def test_a_wait_that_is_none_is_refused(payments: CircuitBreaker, wait: float):
    with pytest.raises(ValueError, match="forced_wait must be > 0"):
        ours.guard(payments, forced_wait=wait)


def test_the_lists_serve_a_breaker_around_sending():
    queue = CircuitBreaker(
        "queue", failures=ours.failures, successes=ours.successes, ignore=ours.ignore
    )
    away = Celery("orders", broker="pyamqp://127.0.0.1:1//")
    once = {"max_retries": 1, "interval_start": 0}  # `retry=False` leaves six seconds
    away.conf.broker_transport_options = once

    with pytest.raises(OperationalError):
        queue.call(away.send_task, "charge", retry=False)

    assert outcomes(queue) == (0, 1, 0)
    away.close()


# -- with one ------------------------------------------------------------------------


def answer_of(result: Any) -> Any:
    return result.get(timeout=PATIENCE, interval=POLL)


class Worker:
    """A prefork worker, and a client of its folders."""

    def __init__(self, folder: Path, processes: int) -> None:
        self.folder = folder
        for name in ("queue", "control", "results"):
            (folder / name).mkdir()
        environment = {
            **os.environ,
            "RECLOSER_CELERY_FOLDER": str(folder),
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        }
        command = f"-A tests.integrations.celery_app worker -P prefork -c {processes}"
        quiet = "--without-gossip --without-mingle --without-heartbeat"
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "celery", *command.split(), *quiet.split()],
            cwd=folder,
            env=environment,
            start_new_session=True,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self.app = Celery(
            "client", broker="filesystem://", backend=f"file://{folder}/results"
        )
        self.app.conf.broker_transport_options = {
            "data_folder_in": f"{folder}/queue",
            "data_folder_out": f"{folder}/queue",
            "control_folder": f"{folder}/control",
            "polling_interval": POLL,
        }

    def send(self, name: str) -> Any:
        return self.app.send_task(f"tests.integrations.celery_app.{name}")

    def ask(self, name: str) -> Any:
        return answer_of(self.send(name))

    def provider_is_back(self) -> None:
        """Work again, with the circuit's wait over."""
        (self.folder / "down").unlink()
        (self.folder / "clock.new").write_text("1", "utf-8")
        (self.folder / "clock.new").rename(self.folder / "clock")

    def stop(self) -> None:
        """End all its processes at once: how it goes is no test of ours."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()
        self.app.close()


@pytest.fixture
def worker(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Worker]:
    running = Worker(tmp_path, getattr(request, "param", 1))
    yield running
    running.stop()


def test_a_rejected_task_comes_back_when_the_circuit_lets_it(worker: Worker):
    (worker.folder / "down").touch()
    for _ in range(2):
        with pytest.raises(Exception, match=r"^$") as caught:
            worker.ask("charge")
        assert type(caught.value).__name__ == "ProviderError"
    state, *counted = worker.ask("look")
    waiting = worker.send("charge")
    until(lambda: waiting.state == "RETRY")
    worker.provider_is_back()

    answer, _ = answer_of(waiting)  # it has no retries left to spend

    assert (state, counted) == ("open", [0, 2, 0])
    assert answer == "charged"
    assert worker.ask("look")[0] == "closed"


def test_retries_of_a_failing_task_count_and_then_wait(worker: Worker):
    (worker.folder / "down").touch()
    waiting = worker.send("insist")
    until(lambda: worker.ask("look")[2] >= 2)
    worker.provider_is_back()

    assert answer_of(waiting) == "charged"


def test_a_rejection_reaches_who_asks_for_the_result(worker: Worker):
    with pytest.raises(CircuitOpenError) as caught:
        worker.ask("refuse")

    assert caught.value.name == "shut"
    assert caught.value.state == State.FORCED_OPEN
    assert caught.value.retry_after is None


def test_an_ignored_task_is_neutral_in_a_worker(worker: Worker):
    worker.send("skip")

    assert until(lambda: worker.ask("look")[3:] == [1])


@pytest.mark.parametrize("worker", [2], indirect=True)
def test_every_process_of_a_worker_guards(worker: Worker):
    seen = set[int]()

    def both() -> bool:
        results = [worker.send("charge") for _ in range(4)]
        seen.update(answer_of(result)[1] for result in results)
        return len(seen) == 2

    assert until(both)
