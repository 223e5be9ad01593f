"""Calls through one breaker, from threads or from tasks, told alike."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..subjects import Guards

PATIENCE: Final = 1.0
"""Seconds until a call that did not begin is taken for blocked."""


class CaughtError(Exception):
    """The library was caught in the trap; the text says how."""


class NotOffered(Exception):  # noqa: N818 - no error: the story cannot be told
    """The library has no such surface."""


def answer() -> str:
    """Succeed."""
    return "answer"


def down() -> None:
    """Fail."""
    msg = "down"
    raise OSError(msg)


def raising(error: type[BaseException]) -> Callable[[], None]:
    """Return something that is interrupted."""

    def interrupted() -> None:
        raise error

    return interrupted


class Running(Protocol):
    """A call in flight."""

    def finish(self, error: BaseException | None = None) -> None:
        """Let it succeed, or fail with `error`, and wait until it has."""


class Calls:
    """Calls of one function through one breaker.

    Attributes:
        rejection: What a rejected call raises.
    """

    def __init__(self, guard: Callable[..., Any], rejection: Any) -> None:
        self.rejection = rejection
        self._guarded = guard(self._target())

    def _target(self) -> Any:
        """Return a function that does what it is given; some guard functions only."""
        raise NotImplementedError

    def do(self, action: Callable[[], Any]) -> Any:
        """Make one call to its end."""
        raise NotImplementedError

    def begin(self) -> Running:
        """Make a call that hangs."""
        raise NotImplementedError

    def succeeds(self) -> bool:
        """Make a call that would succeed; tell whether it was admitted."""
        try:
            return self.do(answer) == "answer"
        except self.rejection:
            return False

    def fails(self) -> bool:
        """Make a call that fails; tell whether it was admitted."""
        inside: list[bool] = []

        def fail() -> None:
            inside.append(True)
            down()

        with suppress(OSError, self.rejection):
            self.do(fail)
        return bool(inside)

    def fail(self, times: int) -> None:
        """Make calls that fail, all admitted."""
        for number in range(times):
            if not self.fails():
                msg = f"failure {number + 1} was rejected"
                raise CaughtError(msg)

    def interrupt(self, error: type[BaseException]) -> None:
        """Make a call that is interrupted."""
        with suppress(error, self.rejection):
            self.do(raising(error))

    def close(self) -> None:
        """Give back what the calls needed."""


class ThreadCalls(Calls):
    """Plain calls, each hanging one on a thread."""

    def _target(self) -> Any:
        def target(action: Callable[[], Any]) -> Any:
            return action()

        return target

    def do(self, action: Callable[[], Any]) -> Any:
        return self._guarded(action)

    def begin(self) -> Running:
        return HangingThread(self._guarded)


class HangingThread:
    """A plain call in flight."""

    def __init__(self, guarded: Callable[..., Any]) -> None:
        self._news, self._go = threading.Event(), threading.Event()
        self._began = False
        self._error: BaseException | None = None
        self._guarded = guarded
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        heard = self._news.wait(PATIENCE)
        if not self._began:
            how = "rejected a call" if heard else "blocks its callers"
            raise CaughtError(how)

    def _run(self) -> None:
        try:
            with suppress(Exception):
                self._guarded(self._hang)
        finally:
            self._news.set()

    def _hang(self) -> str:
        self._began = True
        self._news.set()
        self._go.wait(600 * PATIENCE)
        if self._error is not None:
            raise self._error
        return "answer"

    def finish(self, error: BaseException | None = None) -> None:
        self._error = error
        self._go.set()
        self._thread.join(PATIENCE)


class TaskCalls(Calls):
    """Awaited calls, all on one loop."""

    def __init__(self, guard: Callable[..., Any], rejection: Any) -> None:
        super().__init__(guard, rejection)
        self.loop = asyncio.new_event_loop()

    def _target(self) -> Any:
        async def target(action: Callable[[], Any]) -> Any:
            result = action()
            return await result if asyncio.isfuture(result) else result

        return target

    def do(self, action: Callable[[], Any]) -> Any:
        return self.loop.run_until_complete(self._bounded(action))

    async def _bounded(self, action: Callable[[], Any]) -> Any:
        task = asyncio.ensure_future(self._guarded(action))
        ready, _ = await asyncio.wait([task], timeout=PATIENCE)
        if not ready:
            task.cancel()
            msg = "blocks its callers"
            raise CaughtError(msg)
        return task.result()

    def interrupt(self, error: type[BaseException]) -> None:
        super().interrupt(error)
        for _ in range(2):  # a loop lets an interrupt out more than once
            with suppress(error):
                self.loop.run_until_complete(asyncio.sleep(0))

    def begin(self) -> HangingTask:
        return HangingTask(self.loop, self._guarded)

    def close(self) -> None:
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        if left:
            self.loop.run_until_complete(asyncio.wait(left, timeout=PATIENCE))
        self.loop.close()


class HangingTask:
    """An awaited call in flight."""

    def __init__(self, loop: Any, guarded: Callable[..., Any]) -> None:
        self._loop = loop
        self._end: asyncio.Future[str] = loop.create_future()
        self._begun = asyncio.Event()
        self._task = loop.create_task(self._run(guarded))
        self._loop.run_until_complete(self._started())

    async def _run(self, guarded: Callable[..., Any]) -> None:
        await guarded(self._hang)

    def _hang(self) -> asyncio.Future[str]:
        self._begun.set()
        return self._end

    async def _started(self) -> None:
        waiting = asyncio.ensure_future(self._begun.wait())
        await asyncio.wait(
            [waiting, self._task],
            timeout=PATIENCE,
            return_when=asyncio.FIRST_COMPLETED,
        )
        waiting.cancel()
        if not self._begun.is_set():
            how = "rejected a call" if self._task.done() else "blocks its callers"
            with suppress(Exception):
                self._task.exception()
            raise CaughtError(how)

    def finish(self, error: BaseException | None = None) -> None:
        if error is None:
            self._end.set_result("answer")
        else:
            self._end.set_exception(error)
        self._wait()

    def cancel(self) -> None:
        """Cancel the task, as a timeout does."""
        self._task.cancel()
        self._wait()

    def _wait(self) -> None:
        self._loop.run_until_complete(asyncio.wait([self._task], timeout=PATIENCE))
        with suppress(asyncio.CancelledError, asyncio.InvalidStateError):
            self._task.exception()


def thread_calls(guards: Guards) -> Calls:
    """Return plain calls through a breaker."""
    if guards.sync is None:
        raise NotOffered
    return ThreadCalls(guards.sync, guards.rejection)


def task_calls(guards: Guards) -> Calls:
    """Return awaited calls through a breaker."""
    if guards.aio is None:
        raise NotOffered
    return TaskCalls(guards.aio, guards.rejection)


FLAVOURS: Final = {"sync": thread_calls, "async": task_calls}
