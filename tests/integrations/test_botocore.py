"""botocore against a real HTTP server that answers as AWS does, and fails as told."""

from __future__ import annotations

import gc
import json
import pickle
import struct
import zlib
from typing import Any

import pytest
from botocore import exceptions
from botocore.config import Config
from botocore.response import StreamingBody
from botocore.session import Session

from recloser import CircuitBreaker, CircuitOpenError, State, Wait
from recloser.integrations import botocore as ours
from recloser.testing import FakeClock
from tests.integrations.loopback import Answer, HangUp, Held, Loopback, Stream

TABLES = Answer(200, b'{"TableNames": []}')
OBJECT = Answer(200, b"0123456789" * 100, {"Content-Type": "text/plain"})


def refusal(status: int, code: str, **headers: str) -> Answer:
    body = json.dumps({"__type": f"com.amazonaws#{code}", "message": "no"}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, body, named)


def message(kind: str, name: str, payload: bytes) -> bytes:
    """Return one message of an event stream, as the AWS protocol frames it."""
    headers = b"".join(
        struct.pack(">B", len(key)) + key + struct.pack(">BH", 7, len(value)) + value
        for key, value in (
            (b":message-type", kind.encode()),
            (b":event-type" if kind == "event" else b":exception-type", name.encode()),
            (b":content-type", b"application/json"),
        )
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    prelude += struct.pack(">I", zlib.crc32(prelude))
    whole = prelude + headers + payload
    return whole + struct.pack(">I", zlib.crc32(whole))


def chunk(text: bytes) -> bytes:
    return message("event", "PayloadPart", b'{"bytes": "%s"}' % text)


# botocore leaves it to urllib3 to close what nobody read to its end, and that to us.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def orders(clock: FakeClock) -> CircuitBreaker:
    return CircuitBreaker("orders", trip=2, recovery=Wait(10, jitter=0), clock=clock)


@pytest.fixture
def connect(server: Loopback, orders: CircuitBreaker) -> Any:
    def make(
        service: str,
        breaker: Any = orders,
        attempts: int = 1,
        patience: float = 60,
        **more: Any,
    ) -> Any:
        client = Session().create_client(
            service,
            region_name="us-east-1",
            endpoint_url=more.pop("url", server.url),
            aws_access_key_id="key",
            aws_secret_access_key="secret",  # noqa: S106 - no secret
            config=Config(
                retries={"total_max_attempts": attempts, "mode": "standard"},
                read_timeout=patience,
                s3={"addressing_style": "path"},
            ),
        )
        return ours.guard(client, breaker)

    return make


@pytest.fixture
def tables(connect: Any, server: Loopback) -> Any:
    server.always(TABLES)
    return connect("dynamodb")


@pytest.fixture
def objects(connect: Any, server: Loopback) -> Any:
    server.always(OBJECT)
    return connect("s3")


def get(client: Any) -> Any:
    return client.get_object(Bucket="receipts", Key="one")["Body"]


def outcomes(breaker: CircuitBreaker) -> tuple[int, int, int]:
    totals = breaker.snapshot().totals
    return totals.successes, totals.failures, totals.neutral


# -- calls ---------------------------------------------------------------------------


def test_calls_go_through_and_count(tables: Any, orders: CircuitBreaker):
    assert tables.list_tables()["TableNames"] == []
    assert outcomes(orders) == (1, 0, 0)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (500, "InternalServerError"),
        (502, "BadGateway"),
        (503, "ServiceUnavailable"),
        (504, "GatewayTimeout"),
        (429, "Whatever"),
        (400, "ThrottlingException"),
        (400, "ProvisionedThroughputExceededException"),
        (400, "RequestTimeout"),
    ],
)
def test_failing_and_throttling_services_count(
    tables: Any, server: Loopback, orders: CircuitBreaker, status: int, code: str
):
    server.script(refusal(status, code))

    with pytest.raises(exceptions.ClientError) as caught:
        tables.list_tables()

    assert ours.failures(caught.value)
    assert outcomes(orders) == (0, 1, 0)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "ValidationException"),
        (400, "ConditionalCheckFailedException"),
        (400, "LimitExceededException"),
        (403, "AccessDeniedException"),
        (404, "ResourceNotFoundException"),
        (501, "NotImplemented"),
    ],
)
def test_answers_that_refuse_are_successes(
    tables: Any, server: Loopback, orders: CircuitBreaker, status: int, code: str
):
    server.script(refusal(status, code))

    with pytest.raises(exceptions.ClientError) as caught:
        tables.list_tables()

    assert ours.successes(caught.value)
    assert outcomes(orders) == (1, 0, 0)


def test_an_open_circuit_rejects_as_the_clients_own_error(
    tables: Any, server: Loopback, orders: CircuitBreaker, clock: FakeClock
):
    server.script(HangUp(), HangUp())
    for _ in range(2):
        with pytest.raises(exceptions.HTTPClientError):
            tables.list_tables()
    with pytest.raises(exceptions.BotoCoreError) as caught:
        tables.list_tables()
    clock.advance(10)
    tables.list_tables()

    rejection = caught.value
    assert isinstance(rejection, exceptions.ConnectionError)
    assert isinstance(rejection, CircuitOpenError)
    assert str(rejection) == "'orders' is open (2 failures in a row): retry in 10 s"
    assert len(server.visits) == 3
    assert orders.state is State.CLOSED


def test_nobody_listening_counts(connect: Any, orders: CircuitBreaker):
    client = connect("dynamodb", url="http://127.0.0.1:1")

    with pytest.raises(exceptions.EndpointConnectionError):
        client.list_tables()

    assert outcomes(orders) == (0, 1, 0)


def test_botocores_own_retries_are_inside_one_call(
    connect: Any, server: Loopback, orders: CircuitBreaker
):
    client = connect("dynamodb", attempts=2)
    server.script(refusal(503, "ServiceUnavailable"), TABLES)

    client.list_tables()
    orders.force_open()
    with pytest.raises(CircuitOpenError):
        client.list_tables()

    assert len(server.visits) == 2
    assert outcomes(orders) == (1, 0, 0)
    assert orders.snapshot().rejected == 1  # botocore did not retry it


def test_bad_parameters_are_no_call(tables: Any, orders: CircuitBreaker):
    with pytest.raises(exceptions.ParamValidationError) as caught:
        tables.list_tables(Limit="many")

    assert ours.ignore(caught.value)
    assert outcomes(orders) == (0, 0, 0)


def test_a_call_that_ends_before_it_is_sent_gives_its_permit_back(
    tables: Any, orders: CircuitBreaker
):
    def interrupt(**_: object) -> None:
        raise KeyboardInterrupt

    tables.meta.events.register("before-sign", interrupt)

    with pytest.raises(KeyboardInterrupt):
        tables.list_tables()
    gc.collect()

    assert outcomes(orders) == (0, 0, 1)


def test_paginators_are_guarded(tables: Any, orders: CircuitBreaker):
    pages = list(tables.get_paginator("list_tables").paginate())
    orders.force_open()

    with pytest.raises(CircuitOpenError):
        list(tables.get_paginator("list_tables").paginate())

    assert len(pages) == 1
    assert outcomes(orders) == (1, 0, 0)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry_After": "45"}, 45),
        ({"x_amz_retry_after": "45000"}, 45),
        ({"Retry_After": "soon"}, 10),
        ({}, 10),
    ],
)
def test_a_services_hint_lengthens_the_wait(
    tables: Any,
    server: Loopback,
    orders: CircuitBreaker,
    headers: dict[str, str],
    expected: float,
):
    server.script(*[refusal(503, "SlowDown", **headers)] * 2)

    for _ in range(2):
        with pytest.raises(exceptions.ClientError):
            tables.list_tables()

    assert orders.snapshot().retry_after == expected


def test_a_hint_inside_an_error_is_read():
    facts: Any = {
        "Error": {"Code": "TooManyRequestsException"},
        "retryAfterSeconds": "7",
    }

    assert ours.retry_after(exceptions.ClientError(facts, "Invoke")) == 7
    assert ours.retry_after(KeyError()) is None


# -- bodies --------------------------------------------------------------------------


def test_a_body_is_a_success_when_it_was_read(objects: Any, orders: CircuitBreaker):
    body = get(objects)
    first, before = body.read(100), outcomes(orders)
    rest = b"".join(body.iter_chunks(300))

    assert before == (0, 0, 0)
    assert first + rest == OBJECT.body
    assert outcomes(orders) == (1, 0, 0)


@pytest.mark.parametrize(
    "read",
    [
        lambda body: body.read(),
        lambda body: body.read(1000),
        pytest.param(
            lambda body: body.readinto(bytearray(1000)),
            marks=pytest.mark.skipif(
                not hasattr(StreamingBody, "readinto"), reason="botocore is too old"
            ),
        ),
        list,
        lambda body: list(body.iter_lines()),
        lambda body: body.readlines(),
        lambda body: body.__enter__().read(),
    ],
)
def test_every_way_to_read_a_body_settles(
    objects: Any, orders: CircuitBreaker, read: Any
):
    body = get(objects)

    read(body)

    assert outcomes(orders) == (1, 0, 0)
    assert body.tell() in {0, 1000}


@pytest.mark.parametrize("how", ["closed", "left", "dropped"])
def test_a_body_that_nobody_reads_is_a_success(
    objects: Any, orders: CircuitBreaker, how: str
):
    body = get(objects)
    body.set_socket_timeout(1)

    if how == "closed":
        body.close()
    elif how == "left":
        with body:
            body.read(1)
    del body
    gc.collect()

    assert outcomes(orders) == (1, 0, 0)


def test_a_body_that_is_cut_short_is_a_failure(
    objects: Any, server: Loopback, orders: CircuitBreaker
):
    server.script(Answer(200, b"x" * 1000, {}, cut=500))
    body = get(objects)

    with pytest.raises(exceptions.BotoCoreError):
        body.read()

    assert outcomes(orders) == (0, 1, 0)


def test_a_missing_object_is_an_answer(
    objects: Any, server: Loopback, orders: CircuitBreaker
):
    text = b"<Error><Code>NoSuchKey</Code><Message>no</Message></Error>"
    server.script(Answer(404, text, {"Content-Type": "application/xml"}))

    with pytest.raises(exceptions.ClientError, match="NoSuchKey"):
        get(objects)

    assert outcomes(orders) == (1, 0, 0)


# -- event streams -------------------------------------------------------------------


def tokens(connect: Any, server: Loopback, *parts: bytes, ends: str = "well") -> Any:
    kind = {"Content-Type": "application/vnd.amazon.eventstream"}
    server.script(Stream(parts, headers=kind, ends=ends))
    client = connect("bedrock-runtime")
    asked = client.invoke_model_with_response_stream(modelId="m", body=b"{}")
    return asked["body"]


def chat(text: bytes) -> bytes:
    return message("event", "chunk", b'{"bytes": "%s"}' % text)


def test_an_event_stream_is_judged_by_how_it_ends(
    connect: Any, server: Loopback, orders: CircuitBreaker
):
    stream = tokens(connect, server, chat(b"aGk="), chat(b"aG8="))
    before = outcomes(orders)

    said = [event["chunk"]["bytes"] for event in stream]

    assert (before, outcomes(orders)) == ((0, 0, 0), (1, 0, 0))
    assert said == [b"hi", b"ho"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("throttlingException", (0, 1, 0)),
        ("internalServerException", (0, 1, 0)),
        ("modelStreamErrorException", (0, 1, 0)),
        ("validationException", (1, 0, 0)),
    ],
)
def test_errors_inside_an_event_stream_are_judged_by_their_code(
    connect: Any,
    server: Loopback,
    orders: CircuitBreaker,
    name: str,
    expected: tuple[int, int, int],
):
    error = message("exception", name, b'{"message": "no"}')
    stream = tokens(connect, server, chat(b"aGk="), error)

    with pytest.raises(exceptions.ClientError):
        list(stream)

    assert outcomes(orders) == expected


def test_an_event_stream_that_breaks_is_a_failure(
    connect: Any, server: Loopback, orders: CircuitBreaker
):
    stream = tokens(connect, server, chat(b"aGk="), ends="cut")

    with pytest.raises(Exception, match=r"(?i)incomplete|broken|prematurely"):
        list(stream)

    assert outcomes(orders) == (0, 1, 0)


@pytest.mark.parametrize("how", ["closed", "dropped"])
def test_an_event_stream_that_is_left_is_a_success(
    connect: Any, server: Loopback, orders: CircuitBreaker, how: str
):
    stream = tokens(connect, server, chat(b"aGk="), ends="held")

    next(iter(stream))
    if how == "closed":
        stream.close()
    del stream
    gc.collect()

    assert outcomes(orders) == (1, 0, 0)


# -- the rest ------------------------------------------------------------------------


def test_a_read_timeout_counts(connect: Any, server: Loopback, orders: CircuitBreaker):
    client = connect("dynamodb", patience=0.05)
    server.script(Held())

    with pytest.raises(exceptions.ReadTimeoutError):
        client.list_tables()

    assert outcomes(orders) == (0, 1, 0)


def test_a_guard_brings_lists_of_its_own(
    connect: Any, server: Loopback, orders: CircuitBreaker
):
    client = connect("dynamodb", orders(failures=(exceptions.ClientError,)))
    server.script(refusal(404, "ResourceNotFoundException"))

    with pytest.raises(exceptions.ClientError):
        client.list_tables()

    assert outcomes(orders) == (0, 1, 0)


def test_a_client_is_guarded_once(tables: Any, orders: CircuitBreaker):
    with pytest.raises(TypeError, match="already guarded"):
        ours.guard(tables, orders)


def test_a_rejection_survives_pickling():
    rejection = ours.BotocoreCircuitOpenError("orders", State.OPEN, 2.5, "why", None)

    copy = pickle.loads(pickle.dumps(rejection))  # noqa: S301 - our own

    assert type(copy) is ours.BotocoreCircuitOpenError
    assert (copy.args, str(copy)) == (rejection.args, str(rejection))
