"""Doing something every so often, beside the program, until it ends."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading

import pytest

from recloser.listeners._flusher import Flusher


class Work:
    """Something to do, which may fail."""

    def __init__(self):
        self.done = []
        self.error = None

    def do(self):
        self.done.append(threading.current_thread().name)
        if self.error is not None:
            raise self.error


@pytest.fixture
def work():
    return Work()


@pytest.fixture
def flusher(work):
    flusher = Flusher(work.do, 3600)
    yield flusher
    flusher.close()


def test_it_is_done_on_a_thread_of_its_own(work, flusher, until):
    flusher.wake()

    until(lambda: work.done)
    assert work.done == ["recloser-metrics"]


def test_it_can_be_woken_in_the_middle_of_being_woken(flusher):
    """As a signal handler does, whose breaker changes its state."""

    def wake_at(line: int) -> None:
        def visit(frame, event, argument):
            nonlocal line
            line -= 1
            if line == 0:
                flusher.wake()
            return visit

        before = sys.gettrace()
        sys.settrace(visit)
        flusher.wake()
        sys.settrace(before)

    def wake() -> None:
        for line in range(20):
            wake_at(line)

    waker = threading.Thread(target=wake, daemon=True)
    waker.start()
    waker.join(10)

    assert not waker.is_alive()


def test_it_is_done_every_so_often(work, until):
    flusher = Flusher(work.do, 0.001)

    until(lambda: len(work.done) >= 3)
    flusher.close()


def test_closing_does_it_once_more_here(work, flusher):
    flusher.close()
    flusher.close()

    assert work.done == [threading.current_thread().name]


def test_errors_are_logged_once_until_it_works_again(work, flusher, caplog):
    caplog.set_level(logging.ERROR, logger="recloser")
    for error in (OSError(), OSError(), None, OSError()):
        work.error = error
        flusher.run()

    assert [record.getMessage() for record in caplog.records] == [
        "metrics could not be handed over",
        "metrics could not be handed over",
    ]


def test_work_that_hangs_holds_up_nobody_for_long(monkeypatch, until):
    monkeypatch.setattr("recloser.listeners._flusher._PATIENCE", 0.01)
    begun, go_on = threading.Event(), threading.Event()

    class Hanging:
        def do(self):
            begun.set()
            go_on.wait(120)

    hanging = Hanging()
    flusher = Flusher(hanging.do, 3600)
    flusher.wake()
    assert begun.wait(120)

    flusher.run()
    flusher.close()
    go_on.set()

    until(lambda: not flusher._thread.is_alive())


def test_thread_ends_when_nobody_has_the_work_any_more(until):
    flusher = Flusher(Work().do, 3600)
    gc.collect()

    flusher.wake()

    until(lambda: not flusher._thread.is_alive())


def test_it_is_done_when_the_program_ends():
    program = (
        "from recloser.listeners._flusher import Flusher\n"
        "class Work:\n"
        "    def do(self): print('done')\n"
        "work = Work(); flusher = Flusher(work.do, 3600)\n"
    )

    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.stdout, run.stderr) == ("done\n", "")
