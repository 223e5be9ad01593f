"""A client: callers in threads and callers in tasks, who pay again and again.

Both clients are this class. The only difference is whether the two functions that
call the service are decorated with the breaker.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from random import Random
from threading import Event
from typing import TYPE_CHECKING, Self

import httpx

from ... import CircuitBreaker, CircuitOpenError
from .records import Call, Client, Ending, Recording
from .service import CLIENT_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator

THREADS = 4
TASKS = 4
CALLERS = THREADS + TASKS


class Traffic:
    """One client's callers. A context manager: leaving it ends all of them.

    Args:
        client: The name under which the calls are recorded.
        url: What to call.
        recording: Gets every call; holds the script, the clock and the seed.
        breaker: Guards every call, of threads and tasks alike; None for no guard.
    """

    def __init__(
        self,
        client: Client,
        url: str,
        recording: Recording,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        """Open the connections' pools; no caller begins yet."""
        self._client = client
        self._recording = recording
        self._stop = Event()
        self._workers = ThreadPoolExecutor(THREADS + 1, f"{client} callers")
        self._work: list[Future[None]] = []
        self._http, self._async_http = _pools(client, recording.story.patience)

        def pay() -> httpx.Response:
            return self._http.get(url)

        async def pay_async() -> httpx.Response:
            return await self._async_http.get(url)

        self._pay = breaker(pay) if breaker else pay
        self._pay_async = breaker(pay_async) if breaker else pay_async

    def __enter__(self) -> Self:
        """Let every caller begin."""
        self._work = [self._workers.submit(self._thread, n) for n in range(THREADS)]
        self._work.append(self._workers.submit(self._loop))
        return self

    def __exit__(self, *_: object) -> None:
        """Wait until every caller has finished the call it is in."""
        self.stop()
        self._workers.shutdown()
        self._http.close()

    def stop(self) -> None:
        """Ask every caller to begin no other call."""
        self._stop.set()

    def check(self) -> None:
        """Raise what a caller did not expect, if there is such a thing."""
        for work in self._work:
            if work.done():
                work.result()

    def _thread(self, number: int) -> None:
        for pause in self._pauses(f"thread {number}"):
            if self._stop.wait(pause):
                return
            began = self._recording.elapsed()
            try:
                ending = _answered(self._pay())
            except (CircuitOpenError, httpx.HTTPError) as error:
                ending = _broken(error)
            self._record(began, ending)

    async def _task(self, number: int) -> None:
        for pause in self._pauses(f"task {number}"):
            await asyncio.sleep(pause)
            began = self._recording.elapsed()
            try:
                ending = _answered(await self._pay_async())
            except (CircuitOpenError, httpx.HTTPError) as error:
                ending = _broken(error)
            self._record(began, ending)

    def _loop(self) -> None:
        asyncio.run(self._tasks())

    async def _tasks(self) -> None:
        async with self._async_http, asyncio.TaskGroup() as group:
            for number in range(TASKS):
                group.create_task(self._task(number))

    def _pauses(self, caller: str) -> Iterator[float]:
        """Yield how long a caller pauses before each call, until it has to stop."""
        chances = Random(f"{self._recording.seed}/{caller}")  # noqa: S311 (no secret)
        while not self._stop.is_set():
            yield chances.uniform(0.05, 0.15)

    def _record(self, began: float, ending: Ending) -> None:
        ended = self._recording.elapsed()
        call = Call(client=self._client, began=began, ended=ended, ending=ending)
        self._recording.calls.append(call)


def _pools(client: Client, patience: float) -> tuple[httpx.Client, httpx.AsyncClient]:
    headers = {CLIENT_HEADER: client.value}
    limits = httpx.Limits(
        keepalive_expiry=3
    )  # the service closes after 10 s of silence
    make, make_async = httpx.Client, httpx.AsyncClient
    return (
        make(headers=headers, timeout=patience, limits=limits, trust_env=False),
        make_async(headers=headers, timeout=patience, limits=limits, trust_env=False),
    )


def _answered(response: httpx.Response) -> Ending:
    return Ending.FAILED if response.is_server_error else Ending.OK


def _broken(error: CircuitOpenError | httpx.HTTPError) -> Ending:
    match error:
        case CircuitOpenError():
            return Ending.REJECTED
        case httpx.TimeoutException():
            return Ending.TIMED_OUT
        case _:
            return Ending.FAILED
