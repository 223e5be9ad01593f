"""One policy, a breaker per host, bounded memory."""

from recloser import BreakerGroup, CircuitOpenError

search = BreakerGroup("search", max_size=1000, trip=2)


def fetch(host: str) -> str:
    if host == "bad.example":
        raise ConnectionError
    return f"page of {host}"


for host in [
    "good.example",
    "bad.example",
    "bad.example",
    "bad.example",
    "good.example",
]:
    try:
        print(search[host].call(fetch, host))
    except ConnectionError:
        print(host, "failed")
    except CircuitOpenError as error:
        print(error.name, "rejects")

# page of good.example
# bad.example failed
# bad.example failed
# search[bad.example] rejects
# page of good.example
