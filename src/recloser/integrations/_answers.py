"""An HTTP answer before any framework has it: plain values, the same for all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status, body and headers; ASCII throughout, whatever a breaker is called.

    Frozen; safe to share.
    """

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    """Headers beside Content-Type and Content-Length, which frameworks set themselves."""

    @property
    def all_headers(self) -> list[tuple[str, str]]:
        """Every header, for a server that sets none."""
        length = str(len(self.body))
        own = [("Content-Type", self.content_type), ("Content-Length", length)]
        return [*own, *self.headers]

    @property
    def line(self) -> str:
        """The status as WSGI wants it: `503 Service Unavailable`."""
        return f"{self.status} {HTTPStatus(self.status).phrase}"


def json_answer(
    status: int,
    content: Mapping[str, object],
    *,
    content_type: str = "application/json",
    headers: tuple[tuple[str, str], ...] = (),
) -> Answer:
    """Return an answer that no cache keeps and no browser takes for anything else."""
    usual = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))
    return Answer(
        status=status,
        content_type=content_type,
        body=json.dumps(content, allow_nan=False).encode("ascii"),
        headers=(*usual, *headers),
    )


def problem(
    status: int,
    detail: str,
    *,
    headers: tuple[tuple[str, str], ...] = (),
    members: Mapping[str, object] | None = None,
) -> Answer:
    """Return a problem document.

    Source: RFC 9457; without a `type` the title is the status's own phrase.
    """
    content = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    whole = {**content, **(members or {})}
    return json_answer(status, whole, content_type=PROBLEM, headers=headers)
