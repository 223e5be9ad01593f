"""A FastAPI route that runs only if its breaker admits it."""

import asyncio

import httpx
from fastapi import Depends, FastAPI, HTTPException

from recloser import CircuitBreaker
from recloser.integrations.fastapi import requires

payments = CircuitBreaker("payments", trip=2, recovery=30)
app = FastAPI()


@app.get("/charges/{number}", dependencies=[Depends(requires(payments))])
def charge(number: int) -> str:
    if number == 404:
        raise HTTPException(404)  # says nothing about the dependency
    raise HTTPException(502)


async def main() -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        for number in (404, 404, 1, 2, 3):
            print((await client.get(f"/charges/{number}")).status_code, payments.state)


asyncio.run(main())
# 404 closed
# 404 closed
# 502 closed
# 502 open
# 503 open
