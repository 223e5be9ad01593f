"""Doing something every so often, beside the program, until it ends.

Exporters that have to hand figures over themselves, since nobody comes to read them, do
it here: on one daemon thread, so that no guarded call ever waits for it.
"""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from . import _forking

if TYPE_CHECKING:
    from collections.abc import Callable

_PAUSE = 0.1  # seconds between two flushes at least, however often it is woken
_PATIENCE = 2.0  # seconds to wait for a flush that runs, before a fork or at the end


class Flusher:
    """Calls `work` every so often, soon after `wake`, and once more at the end.

    Never twice at a time. Safe for threads and forks.

    A forked child goes on with a thread of its own. When the object that `work` is a
    method of is collected, the thread ends.

    Args:
        work: A bound method. What it raises is logged, once until it works again.
        every: Seconds between two calls.
    """

    def __init__(self, work: Callable[[], object], every: float) -> None:
        """Begin."""
        self._work = weakref.WeakMethod(work)
        self._every = every
        # A signal handler may wake while it is being woken: no Event stands that.
        self._due: SimpleQueue[None] = SimpleQueue()
        self._stop = threading.Event()
        self._running = threading.Lock()
        self._closed = False
        self._is_failing = False
        self._start()
        _forking.watch(self)
        _living.add(self)

    def wake(self) -> None:
        """Do it soon: within a tenth of a second, if the thread gets its turn."""
        if self._due.empty():
            self._due.put(None)

    def close(self) -> None:
        """Stop, and do it once more on this thread."""
        if not self._closed:
            self._closed = True
            self._end()
            self.run()

    def run(self) -> bool:
        """Do it once, here; return whether there is still something to do it for."""
        work = self._work()
        if work is None:
            return False
        if not self._running.acquire(timeout=_PATIENCE):
            return True  # somebody is at it, and hangs
        try:
            work()
        except Exception as error:  # noqa: BLE001 - nobody is here to catch it
            self._report(error)
        else:
            self._is_failing = False
        finally:
            self._running.release()
        return True

    def _report(self, error: Exception) -> None:
        if not self._is_failing:
            self._is_failing = True
            logging.getLogger("recloser").error(
                "metrics could not be handed over", exc_info=error
            )

    def _start(self) -> None:
        thread = self._thread = threading.Thread(
            target=_loop,
            args=(weakref.ref(self), self._due, self._stop, self._every),
            name="recloser-metrics",
            daemon=True,
        )
        thread.start()

    def _end(self) -> None:
        self._stop.set()
        self._due.put(None)
        if self._thread is not threading.current_thread():
            self._thread.join(_PATIENCE)

    def before_fork(self) -> None:
        """End the thread: it would not come along, and what it holds would stay held."""
        if not self._closed:
            self._end()

    def after_fork(self, *, child: bool) -> None:
        """Begin again."""
        if child:
            self._running = threading.Lock()  # another thread may have been at it
        self._due, self._stop = SimpleQueue(), threading.Event()
        if not self._closed:
            self._start()


def _loop(
    owner: weakref.ref[Flusher],
    due: SimpleQueue[None],
    stop: threading.Event,
    every: float,
) -> None:
    while not stop.is_set():
        with suppress(Empty):
            due.get(timeout=every)
        if stop.is_set():
            return
        flusher = owner()
        if flusher is None or not flusher.run():
            return
        del flusher
        stop.wait(_PAUSE)


_living: weakref.WeakSet[Flusher] = weakref.WeakSet()


@atexit.register
def _finish() -> None:
    for flusher in list(_living):
        flusher.close()
