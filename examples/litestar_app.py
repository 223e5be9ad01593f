"""Litestar: rejections become 503 by a plugin, health routes by a mount."""

from litestar import Litestar, asgi, get
from litestar.testing import TestClient
from litestar.types import Receive, Scope, Send

from recloser import CircuitBreaker
from recloser.integrations.asgi import Health
from recloser.integrations.litestar import RejectionPlugin

payments = CircuitBreaker("payments")
health = Health(ready_unless_open=("payments",))


@get("/charge")
@payments
async def charge() -> str:
    return "charged"


@asgi("/circuits", is_mount=True, copy_scope=False)
async def circuits(scope: Scope, receive: Receive, send: Send) -> None:
    await health(scope, receive, send)


plugin = RejectionPlugin()
app = Litestar([charge, circuits], plugins=[plugin], logging_config=None)

payments.force_open()
with TestClient(app) as client:
    print(client.get("/charge").status_code)
    print(client.get("/circuits/ready").json())
# 503
# {'status': 'not ready', 'open': ['payments']}
