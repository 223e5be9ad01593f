"""What is inside a timing loop, seen by counting calls instead of time."""

from __future__ import annotations

import asyncio
from itertools import count, repeat

import pytest

from benchmarks.loops import UNROLLED, Subject, compile_loop


def test_a_step_makes_ten_calls():
    calls: list[int] = []
    subject = Subject("a", "f(1)", {"f": calls.append})

    compile_loop(subject)(repeat(None, 3), count().__next__, **subject.names)

    assert len(calls) == 3 * UNROLLED


def test_each_call_of_a_step_can_know_its_number():
    calls: list[int] = []
    subject = Subject("a", "f({i})", {"f": calls.append})

    compile_loop(subject)(repeat(None, 1), count().__next__, **subject.names)

    assert calls == list(range(UNROLLED))


def test_the_clock_is_read_before_the_first_call_and_after_the_last():
    clock = count()
    subject = Subject("a", "f()", {"f": clock.__next__})

    taken = compile_loop(subject)(repeat(None, 2), clock.__next__, **subject.names)

    assert taken == 2 * UNROLLED + 1


def test_a_statement_of_several_lines_is_repeated_whole():
    raised: list[Exception] = []

    def fail() -> None:
        raised.append(KeyError())
        raise raised[-1]

    subject = Subject("a", "try:\n    f()\nexcept KeyError:\n    pass", {"f": fail})

    compile_loop(subject)(repeat(None, 1), count().__next__, **subject.names)

    assert len(raised) == UNROLLED


def test_a_loop_that_awaits_is_a_coroutine_function():
    calls: list[int] = []

    async def call() -> None:
        calls.append(1)

    subject = Subject("a", "await f()", {"f": call}, aio=True)

    asyncio.run(
        compile_loop(subject)(repeat(None, 1), count().__next__, **subject.names)
    )

    assert len(calls) == UNROLLED


def test_an_error_of_the_subject_is_not_swallowed():
    subject = Subject("a", "f()", {"f": lambda: 1 / 0})

    with pytest.raises(ZeroDivisionError):
        compile_loop(subject)(repeat(None, 1), count().__next__, **subject.names)
