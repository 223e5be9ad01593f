"""An httpx client behind a breaker per host: statuses, a broken body, a rejection."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx

from recloser import BreakerGroup
from recloser.integrations.httpx import CircuitTransport


class Service(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        missing = 2 if self.path == "/broken" else 0
        self.send_response({"/ok": 200, "/broken": 200, "/gone": 404}[self.path])
        self.send_header("Content-Length", str(5 + missing))
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None: ...


server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
Thread(target=server.serve_forever).start()
url = f"http://127.0.0.1:{server.server_port}"
apis = BreakerGroup("apis", trip=2)
with httpx.Client(transport=CircuitTransport(breakers=apis)) as client:
    for path in ["/ok", "/gone", "/broken", "/broken", "/ok"]:
        try:
            print(path, client.get(url + path).status_code)
        except httpx.TransportError as error:  # a rejection is one, too
            print(path, type(error).__name__)
server.shutdown()
server.server_close()

# /ok 200
# /gone 404
# /broken RemoteProtocolError
# /broken RemoteProtocolError
# /ok CircuitOpenTransportError
