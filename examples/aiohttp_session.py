"""An aiohttp session behind a breaker per host: a rejection is the client's own error."""

import asyncio

import aiohttp
from aiohttp import web

from recloser import BreakerGroup, CircuitOpenError
from recloser.integrations.aiohttp import CircuitMiddleware


async def overloaded(_: web.Request) -> web.Response:
    return web.Response(status=429, headers={"Retry-After": "120"})


async def main() -> None:
    app = web.Application()
    app.router.add_get("/", overloaded)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]

    guard = CircuitMiddleware(breakers=BreakerGroup("apis", trip=2, recovery=10))
    async with aiohttp.ClientSession(middlewares=(guard,)) as session:
        for _ in range(3):
            try:
                async with session.get(f"http://{host}:{port}") as response:
                    print(response.status)
            except aiohttp.ClientError as error:  # a rejection is one, too
                print(type(error).__name__, isinstance(error, CircuitOpenError))
    await runner.cleanup()


asyncio.run(main())

# 429
# 429
# CircuitOpenClientError True
