"""The recipes of docs/integrations.md for SDKs that are built on httpx or httpx2."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import pytest

from recloser import (
    BreakerGroup,
    CircuitBreaker,
    CircuitOpenError,
    State,
    Wait,
)
from tests.integrations.loopback import Answer, Loopback, Stream

QUESTION = [{"role": "user", "content": "hello"}]
TEXT = "Hello"


@dataclass
class Provider:
    """One SDK, used in the same way as the other."""

    sdk: Any
    client: Any
    async_client: Any
    path: str

    @property
    def library(self) -> Any:
        """The package that this release of the SDK is built on."""
        parents = [kind.__module__ for kind in self.sdk.DefaultHttpxClient.__mro__]
        name = (
            "httpx2" if any(each.startswith("httpx2") for each in parents) else "httpx"
        )
        return importlib.import_module(name)

    @property
    def ours(self) -> Any:
        return importlib.import_module(f"recloser.integrations.{self.library.__name__}")

    def connect(self, server: Loopback, *, retries: int = 0, **guard: Any) -> Any:
        http = self.library.Client(transport=self.ours.CircuitTransport(**guard))
        return self.client(
            api_key="key",
            base_url=f"{server.url}{self.path}",
            http_client=http,
            max_retries=retries,
        )

    def no_retry(self, request: Any, rejection: CircuitOpenError) -> Any:
        """Answer in place of a rejection, so that the SDK's own retries end."""
        headers = {"x-should-retry": "false"}
        return self.library.Response(503, headers=headers, json={"error": {}})

    def options(self) -> dict[str, Any]:
        return {"model": "m", "max_tokens": 9, "messages": QUESTION}

    def ask(self, client: Any, **options: Any) -> Any:
        return self.endpoint(client).create(**self.options(), **options)

    def endpoint(self, client: Any) -> Any:
        is_openai = self.sdk is openai
        return client.chat.completions if is_openai else client.messages

    def token(self, event: Any) -> str:
        if self.sdk is openai:
            return event.choices[0].delta.content
        return event.delta.text if event.type == "content_block_delta" else ""

    def whole(self) -> Answer:
        """An answer in one piece."""
        if self.sdk is openai:
            message = {"role": "assistant", "content": TEXT}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            body: Any = {"id": "1", "object": "chat.completion", "created": 1}
            body |= {"model": "m", "choices": [choice]}
        else:
            body = {"id": "1", "type": "message", "role": "assistant", "model": "m"}
            body |= {"content": [{"type": "text", "text": TEXT}]}
            body |= {"stop_reason": "end_turn", "stop_sequence": None}
            body |= {"usage": {"input_tokens": 1, "output_tokens": 1}}
        headers = {"Content-Type": "application/json"}
        return Answer(200, json.dumps(body).encode(), headers)

    def text_of(self, answer: Any) -> str:
        if self.sdk is openai:
            return answer.choices[0].message.content
        return answer.content[0].text

    def tokens(self, *, ends: str = "well", last: bytes | None = None) -> Stream:
        """An answer token by token."""
        chunks = [self._chunk(token) for token in ("Hel", "lo")]
        end = b"data: [DONE]\n\n" if self.sdk is openai else _event("message_stop", {})
        chunks += [last] if last else [end] if ends == "well" else []
        headers = {"Content-Type": "text/event-stream"}
        return Stream(chunks, headers=headers, ends=ends)

    def _chunk(self, token: str) -> bytes:
        if self.sdk is openai:
            choice = {"index": 0, "delta": {"content": token}}
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1}
            return _data({**chunk, "model": "m", "choices": [choice]})
        delta = {"type": "text_delta", "text": token}
        return _event("content_block_delta", {"index": 0, "delta": delta})

    def failing_event(self) -> bytes:
        """An error in the middle of a stream whose status was 200."""
        error = {"type": "overloaded_error", "message": "overloaded"}
        if self.sdk is openai:
            return _data({"error": error})
        return _event("error", {"error": error})


def _data(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _event(kind: str, value: dict[str, Any]) -> bytes:
    return f"event: {kind}\n".encode() + _data({"type": kind, **value})


PROVIDERS = {
    "openai": Provider(openai, openai.OpenAI, openai.AsyncOpenAI, "/v1"),
    "anthropic": Provider(anthropic, anthropic.Anthropic, anthropic.AsyncAnthropic, ""),
}


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> Provider:
    return PROVIDERS[request.param]


@pytest.fixture
def breaker() -> CircuitBreaker:
    """A breaker that the second failure in a row opens."""
    return CircuitBreaker("llm", trip=2, recovery=Wait(10, jitter=0), registry="none")


def counted(breaker: CircuitBreaker) -> tuple[int, int, int]:
    totals = breaker.snapshot().totals
    return totals.successes, totals.failures, totals.neutral


def test_whole_answer_is_a_success(provider, server, breaker):
    server.script(provider.whole())

    with provider.connect(server, breakers=breaker) as client:
        answer = provider.ask(client)

    assert provider.text_of(answer) == TEXT
    assert counted(breaker) == (1, 0, 0)


def test_tokens_read_to_their_end_are_a_success(provider, server, breaker):
    server.script(provider.tokens())

    with provider.connect(server, breakers=breaker) as client:
        stream = provider.ask(client, stream=True)
        first = provider.token(next(stream))
        during = counted(breaker)
        text = first + "".join(map(provider.token, stream))

    assert (during, text) == ((0, 0, 0), TEXT)
    assert counted(breaker) == (1, 0, 0)


def test_tokens_that_stop_midway_are_a_failure(provider, server, breaker):
    server.script(provider.tokens(ends="cut"))
    broken = (provider.library.TransportError, provider.sdk.APIConnectionError)

    with provider.connect(server, breakers=breaker) as client:
        stream = provider.ask(client, stream=True)
        with pytest.raises(broken):
            list(stream)

    assert counted(breaker) == (0, 1, 0)


def test_tokens_left_early_are_a_success(provider, server, breaker):
    server.script(provider.tokens(ends="held"))

    with (
        provider.connect(server, breakers=breaker) as client,
        provider.ask(client, stream=True) as stream,
    ):
        next(stream)

    assert counted(breaker) == (1, 0, 0)


def test_tokens_to_a_task_are_judged_alike(provider, server, breaker):
    server.script(provider.tokens(), provider.tokens(ends="cut"))
    transport = provider.ours.AsyncCircuitTransport(breakers=breaker)
    broken = (provider.library.TransportError, provider.sdk.APIConnectionError)

    async def main() -> str:
        async with provider.async_client(
            api_key="key",
            base_url=f"{server.url}{provider.path}",
            http_client=provider.library.AsyncClient(transport=transport),
            max_retries=0,
        ) as client:
            texts = []
            for _ in range(2):
                stream = await provider.endpoint(client).create(
                    **provider.options(), stream=True
                )
                try:
                    texts += [provider.token(event) async for event in stream]
                except broken:
                    break
            return "".join(texts)

    assert asyncio.run(main()) == TEXT
    assert counted(breaker) == (1, 1, 0)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (429, {"retry-after": "40"}),
        (429, {"retry-after-ms": "40000"}),
        (529, {"retry-after": "40"}),
    ],
)
def test_overload_counts_and_its_hint_lengthens_the_wait(
    provider, server, breaker, status, headers
):
    server.always(Answer(status, b"{}", headers=headers))
    statuses = provider.ours.STATUSES | {529}

    with provider.connect(server, breakers=breaker, statuses=statuses) as client:
        for _ in range(2):
            with pytest.raises(provider.sdk.APIStatusError):
                provider.ask(client)

    assert breaker.state is State.OPEN
    assert 39 < breaker.snapshot().retry_after <= 44


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_mistakes_of_the_caller_do_not_count(provider, server, breaker, status):
    server.always(Answer(status, b"{}"))

    with provider.connect(server, breakers=breaker) as client:
        for _ in range(5):
            with pytest.raises(provider.sdk.APIStatusError):
                provider.ask(client)

    assert counted(breaker) == (5, 0, 0)


def test_rejection_is_the_cause_of_the_error_of_the_sdk(provider, server, breaker):
    breaker.trip()

    with (
        provider.connect(server, breakers=breaker) as client,
        pytest.raises(provider.sdk.APIConnectionError) as caught,
    ):
        provider.ask(client)

    assert isinstance(caught.value.__cause__, CircuitOpenError)
    assert provider.ours.ignore(caught.value)
    assert (server.visits, breaker.snapshot().rejected) == ([], 1)


def test_retries_of_the_sdk_end_when_the_circuit_opens(provider, server, breaker):
    server.always(Answer(503, b"{}", headers={"retry-after-ms": "1"}))
    guard = {"breakers": breaker, "fallback": provider.no_retry}

    with (
        provider.connect(server, retries=9, **guard) as client,
        pytest.raises(provider.sdk.InternalServerError),
    ):
        provider.ask(client)

    assert (len(server.visits), breaker.snapshot().rejected) == (2, 1)


def test_retries_of_the_sdk_count_each_try(provider, server, breaker):
    server.script(Answer(503, b"{}", headers={"retry-after-ms": "1"}), provider.whole())

    with provider.connect(server, retries=3, breakers=breaker) as client:
        answer = provider.ask(client)

    assert provider.text_of(answer) == TEXT
    assert counted(breaker) == (1, 1, 0)


def test_error_inside_of_a_stream_counts_where_its_tokens_are_guarded(
    provider, server, breaker
):
    server.script(provider.tokens(last=provider.failing_event()))

    @breaker(ignore=provider.ours.ignore)
    def tokens(client: Any) -> Iterator[str]:
        yield from map(provider.token, provider.ask(client, stream=True))

    received = []
    with provider.connect(server) as client, pytest.raises(provider.sdk.APIError):
        for token in tokens(client):
            received.append(token)  # noqa: PERF402 - the list is kept when it raises

    assert "".join(received) == TEXT
    assert counted(breaker) == (0, 1, 0)


def test_another_provider_takes_over_and_the_first_is_left_alone(server, other_server):
    providers = BreakerGroup("providers", trip=2)
    first, second = PROVIDERS.values()
    server.always(Answer(503, b"{}"))
    other_server.always(second.whole())
    errors = (openai.APIError, anthropic.APIError)

    def ask_any(clients: list[Any]) -> str:
        for provider, client in zip((first, second), clients, strict=True):
            try:
                return provider.text_of(provider.ask(client))
            except errors as error:
                last = error
        raise last

    with (
        first.connect(server, breakers=providers) as one,
        second.connect(other_server, breakers=providers) as two,
    ):
        answers = [ask_any([one, two]) for _ in range(5)]

    assert answers == [TEXT] * 5
    assert (len(server.visits), len(other_server.visits)) == (2, 5)
