"""Change a breaker's state over HTTP: a switch, a hook and a JSON request."""

import logging

from werkzeug.test import Client

from recloser import CircuitBreaker
from recloser.integrations.wsgi import Environ, Health

payments = CircuitBreaker("payments")


def authorise(environ: Environ, action: str, name: str) -> bool:
    return environ.get("HTTP_AUTHORIZATION") == "Bearer token"


logging.getLogger("recloser").setLevel(logging.ERROR)  # changes are logged as warnings
client = Client(Health(allow_changes=True, authorise=authorise))
token = {"Authorization": "Bearer token"}
path = "/breakers/payments/force_open"

print(client.post(path, headers=token).json["detail"])
print(client.post(path, json={}).json["detail"])
print(client.post(path, json={}, headers=token).json["state"], payments.state)
# The Content-Type must be application/json.
# You may not do this.
# forced_open forced_open
