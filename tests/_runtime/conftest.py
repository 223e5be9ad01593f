"""What tests of the runtime share: a clock, something to call, threads, two loops."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from recloser import CircuitBreaker, Wait
from recloser.testing import FakeClock

PATIENCE = 120  # seconds until a test gives up on another thread, and fails


def pytest_configure(config: pytest.Config) -> None:
    """Declare our plugin's mark, so that the suite runs with the plugin and without."""
    config.addinivalue_line(
        "markers", "recloser_allow_callback_errors: callbacks may raise in this test"
    )


class Service:
    """A dependency: it answers or fails as told, and counts who reached it."""

    def __init__(self) -> None:
        self.calls = 0

    def answer(self, value: Any = "answer") -> Any:
        self.calls += 1
        return value

    def fail(self, error: BaseException | None = None) -> Any:
        self.calls += 1
        raise error if error is not None else OSError("down")

    def pages(self) -> Any:
        yield self.answer()

    async def apages(self) -> Any:
        yield self.answer()

    async def aanswer(self, value: Any = "answer") -> Any:
        return self.answer(value)

    async def afail(self, error: BaseException | None = None) -> Any:
        self.fail(error)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def make(clock):
    """Make a breaker on the fake clock that waits exactly ten seconds."""

    def make_breaker(name: str = "payments", **options: Any) -> CircuitBreaker:
        usual = {
            "clock": clock,
            "registry": "none",
            "recovery": Wait(10, jitter=0),
        }
        return CircuitBreaker(name, **{**usual, **options})

    return make_breaker


@pytest.fixture
def fail(service):
    """Let calls of a breaker fail."""

    def fail_calls(breaker, times: int = 1) -> None:
        for _ in range(times):
            with pytest.raises(OSError, match="down"):
                breaker.call(service.fail)

    return fail_calls


class Task:
    """Something that runs beside the test, and how it ended."""

    def __init__(self) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = False
        self.cancel = lambda: None

    async def run(self, function, args) -> None:
        try:
            self.result = await function(*args)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.error = error
        finally:
            self.done = True


class Loop:
    """What asyncio and trio have in common, as far as the tests need it."""

    async def until(self, condition) -> None:
        """Let other tasks run until something is so."""
        giving_up = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < giving_up, "the other tasks never came so far"
            await self.tick()


class AsyncioLoop(Loop):
    cancelled = asyncio.CancelledError

    def run(self, main, *args):
        return asyncio.run(main(*args))

    async def tick(self) -> None:
        await asyncio.sleep(0)

    def event(self):
        return asyncio.Event()

    @asynccontextmanager
    async def nursery(self):
        async with asyncio.TaskGroup() as group:

            def start(function, *args) -> Task:
                task = Task()
                task.cancel = group.create_task(task.run(function, args)).cancel
                return task

            yield start


class TrioLoop(Loop):
    cancelled = trio.Cancelled

    def run(self, main, *args):
        return trio.run(main, *args)

    async def tick(self) -> None:
        await trio.lowlevel.checkpoint()

    def event(self):
        return trio.Event()

    @asynccontextmanager
    async def nursery(self):
        async with trio.open_nursery() as nursery:

            def start(function, *args) -> Task:
                task, scope = Task(), trio.CancelScope()
                task.cancel = scope.cancel

                async def scoped() -> None:
                    with scope:
                        await task.run(function, args)

                nursery.start_soon(scoped)
                return task

            yield start


@pytest.fixture(params=[AsyncioLoop, TrioLoop], ids=["asyncio", "trio"])
def loop(request) -> Loop:
    return request.param()


class Thread:
    """One thread of a test, and how it ended."""

    def __init__(self, function, args) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(
            target=self._run, args=(function, args), daemon=True
        )
        self._thread.start()

    def _run(self, function, args) -> None:
        try:
            self.result = function(*args)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.error = error

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def join(self):
        self._thread.join(PATIENCE)
        assert self.done, "the thread is stuck"
        return self


class Threads:
    """Threads beside the test."""

    def start(self, function, *args) -> Thread:
        return Thread(function, args)

    def until(self, condition) -> None:
        """Wait for other threads until something is so."""
        giving_up = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < giving_up, "the other threads never came so far"
            threading.Event().wait(0.001)


@pytest.fixture
def threads() -> Threads:
    return Threads()
