"""Rejections become 503 and breakers are listed, under any ASGI framework."""

import asyncio

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import Mount, Route

from recloser import CircuitBreaker
from recloser.integrations.asgi import Health, RejectionMiddleware

payments = CircuitBreaker("payments", recovery=30)


async def charge(request: Request) -> None:
    async with payments:
        raise AssertionError


app = Starlette(
    routes=[Route("/charge", charge), Mount("/circuits", Health())],
    middleware=[Middleware(RejectionMiddleware)],
)


async def main() -> None:
    payments.force_open()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        print((await client.get("/charge")).json()["title"])
        print((await client.get("/circuits/ready")).json())
        print((await client.get("/circuits/breakers/payments")).json()["state"])


asyncio.run(main())
# Service Unavailable
# {'status': 'ready', 'open': []}
# forced_open
