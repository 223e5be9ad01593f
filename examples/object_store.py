"""An AWS client behind a breaker: a throttling service is left alone."""

from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from recloser import CircuitBreaker
from recloser.integrations.botocore import guard


class Throttling(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(503)
        self.send_header("Retry-After", "60")
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Throttling)
Thread(target=server.serve_forever, daemon=True).start()
receipts = CircuitBreaker("receipts", trip=2)
where = {"endpoint_url": f"http://127.0.0.1:{server.server_port}", "region_name": "x"}
who = {"aws_access_key_id": "me", "aws_secret_access_key": "mine"}
once = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
store = guard(Session().create_client("s3", config=once, **where, **who), receipts)
for _ in range(3):
    try:
        store.head_bucket(Bucket="receipts")
    except (ClientError, BotoCoreError) as error:
        print(type(error).__name__, receipts.state)

# ClientError closed
# ClientError open
# BotocoreCircuitOpenError open
