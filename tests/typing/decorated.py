"""What a guarded function still is to a type checker. Never run: `make types`."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Iterator,
)
from typing import Any, TypeVar, assert_type

from recloser import CircuitBreaker

T = TypeVar("T")

payments = CircuitBreaker("payments")


@payments
def charge(amount: int, *, currency: str = "EUR") -> str:
    return f"{amount} {currency}"


@payments
async def acharge(amount: int, *, currency: str = "EUR") -> str:
    return f"{amount} {currency}"


@payments
def pages(first: int) -> Iterator[str]:
    yield str(first)


@payments
def dialogue(first: int) -> Generator[str, int, bytes]:
    answer = yield str(first)
    return bytes(answer)


@payments
async def apages(first: int) -> AsyncIterator[str]:
    yield str(first)


@payments
async def adialogue(first: int) -> AsyncGenerator[str, int]:
    yield str(first)


@payments
def first_of(items: list[T]) -> T:
    return items[0]


@payments(ignore=(KeyError,), wait=2.0)
def lookup(key: str) -> bytes:
    return key.encode()


@payments(ignore=(KeyError,))
async def alookup(key: str) -> bytes:
    return key.encode()


def cached(key: str) -> None:
    del key


async def acached(key: str) -> None:
    del key


@payments(fallback=cached)
def lookup_or_none(key: str) -> bytes:
    return key.encode()


@payments(fallback=cached)
async def alookup_or_none(key: str) -> bytes:
    return key.encode()


@payments(fallback=acached, wait=2.0)
async def alookup_or_anone(key: str) -> bytes:
    return key.encode()


class Gateway:
    @payments
    def charge(self, amount: int) -> str:
        return str(amount)

    @payments
    async def acharge(self, amount: int) -> str:
        return str(amount)

    @classmethod
    @payments
    def default(cls) -> Gateway:
        return cls()

    @payments
    @classmethod
    def other(cls) -> Gateway:
        return cls()

    @staticmethod
    @payments
    def currencies() -> list[str]:
        return ["EUR"]

    @payments
    @staticmethod
    def countries() -> list[str]:
        return ["FR"]


def parameters_and_results_stay() -> None:
    assert_type(charge(1), str)
    assert_type(charge(amount=1, currency="CHF"), str)
    assert_type(lookup("key"), bytes)
    assert_type(first_of([1]), int)
    assert_type(pages(1), Iterator[str])
    assert_type(dialogue(1), Generator[str, int, bytes])
    assert_type(apages(1), AsyncIterator[str])
    assert_type(adialogue(1), AsyncGenerator[str, int])


def a_fallback_adds_its_result() -> None:
    assert_type(lookup_or_none("key"), bytes | None)
    lookup_or_none(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    guard = payments(fallback=cached)
    assert_type(guard.breaker, CircuitBreaker)
    assert_type(guard(lookup)("key"), bytes | None)
    assert_type(guard.call(lookup, "key"), bytes | None)
    guard.call(lookup, 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def a_fallback_adds_its_result_to_an_async_function() -> None:
    pending: Coroutine[Any, Any, bytes | None] = alookup_or_none("key")
    assert_type(await pending, bytes | None)
    assert_type(await alookup_or_none("key"), bytes | None)
    await alookup_or_none(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    guard = payments(fallback=cached)
    assert_type(await guard.acall(alookup, "key"), bytes | None)
    assert_type(await guard.acall(alookup_or_none, "key"), bytes | None)


async def an_async_fallback_adds_what_it_is_awaited_for() -> None:
    pending: Coroutine[Any, Any, bytes | None] = alookup_or_anone("key")
    assert_type(await pending, bytes | None)
    assert_type(await alookup_or_anone("key"), bytes | None)
    guard = payments(fallback=acached)
    assert_type(await guard(alookup)("key"), bytes | None)
    assert_type(await guard.acall(alookup, "key"), bytes | None)
    await guard.acall(alookup, 1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def a_wrong_option_is_an_error() -> None:
    payments(retries=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


async def colour_stays() -> None:
    pending: Coroutine[Any, Any, str] = acharge(1)
    assert_type(await pending, str)
    assert_type(await acharge(1, currency="CHF"), str)
    assert_type(await alookup("key"), bytes)
    async for page in apages(1):
        assert_type(page, str)
    for page in pages(1):
        assert_type(page, str)


async def methods_stay_methods(gateway: Gateway) -> None:
    assert_type(gateway.charge(1), str)
    assert_type(await gateway.acharge(1), str)
    assert_type(Gateway.charge(gateway, 1), str)
    assert_type(Gateway.default(), Gateway)
    assert_type(Gateway.other(), Gateway)
    assert_type(Gateway.currencies(), list[str])
    assert_type(Gateway.countries(), list[str])


def a_wrong_call_is_an_error(gateway: Gateway) -> None:
    charge("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    charge(1, "EUR")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    charge()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    lookup(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    gateway.charge("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def fits_where_the_plain_function_fits() -> None:
    plain: Callable[[int], str] = charge
    coroutine: Callable[[int], Coroutine[Any, Any, str]] = acharge
    assert_type(plain(1), str)
    assert_type(await coroutine(1), str)
