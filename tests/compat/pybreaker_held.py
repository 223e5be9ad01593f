"""A call that stays inside the guarded function until it is told to leave."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from types import TracebackType
from typing import Any, Final, Self

PATIENCE: Final = 120.0
"""Seconds after which a test that waits for another thread gives up."""


class HeldCall:
    """A breaker's call in a thread of its own. `with` ends it, if it has not ended."""

    def __init__(self, breaker: Any, error: BaseException | None = None) -> None:
        self._entered, self._leave = Event(), Event()
        self._error = error
        self._pool = ThreadPoolExecutor(1)
        self._future: Future[Any] = self._pool.submit(breaker.call, self._func)
        if not self._entered.wait(PATIENCE):
            raise TimeoutError

    def _func(self) -> str:
        self._entered.set()
        if not self._leave.wait(PATIENCE):
            raise TimeoutError
        if self._error is not None:
            raise self._error
        return "held"

    def end(self) -> Any:
        """Let it go; return what it returns, or raise what it raises."""
        self._leave.set()
        return self._future.result(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave.set()
        self._pool.shutdown()
