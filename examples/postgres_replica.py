"""Two databases, a breaker each: the replica answers while the first one is down."""

import psycopg

from recloser import CircuitBreaker, CircuitOpenError
from recloser.integrations.psycopg import guard

SERVERS = {  # nobody listens there; in production these are conninfo strings
    "primary": "host=127.0.0.1 port=1",
    "replica": "host=127.0.0.1 port=2",
}
CONNECTIONS = {
    name: guard(psycopg.Connection, CircuitBreaker(name, trip=2)) for name in SERVERS
}


def connect():
    for name, conninfo in SERVERS.items():
        try:
            return CONNECTIONS[name].connect(conninfo)
        except CircuitOpenError as rejection:
            print(name, "is skipped:", rejection.reason)
        except psycopg.OperationalError:
            print(name, "failed")
    return None


for _ in range(3):
    connect()

# primary failed
# replica failed
# primary failed
# replica failed
# primary is skipped: 2 failures in a row
# replica is skipped: 2 failures in a row
