"""A requests session behind a breaker: urllib3's retries outside it, each try counted."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import requests
from urllib3 import Retry

from recloser import CircuitBreaker
from recloser.integrations.requests import CircuitAdapter


class Service(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
Thread(target=server.serve_forever).start()

search = CircuitBreaker("search", trip=3)
retries = Retry(9, status_forcelist=[503], backoff_factor=0)
with requests.Session() as session:
    session.mount("http://", CircuitAdapter(breakers=search, retries=retries))
    for _ in range(2):
        try:
            print(session.get(f"http://127.0.0.1:{server.server_port}").status_code)
        except requests.ConnectionError as error:  # a rejection is one, too
            print(type(error).__name__)
print(search.snapshot().totals.failures, "tries failed,", search.state)
server.shutdown()
server.server_close()

# 503
# CircuitOpenConnectionError
# 3 tries failed, open
