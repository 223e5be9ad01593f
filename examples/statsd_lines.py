"""What StatsD receives, over a real UDP socket."""

import socket

from recloser import CircuitBreaker
from recloser.listeners.statsd import StatsdListener

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))

figures = StatsdListener(port=server.getsockname()[1], tags={"service": "shop"})
payments = CircuitBreaker("payments", listeners=[figures])
for _ in range(3):
    payments.call(lambda: "a receipt")
figures.flush()  # it does so by itself every ten seconds

for line in server.recv(65536).decode().splitlines():
    if line.startswith(("recloser.calls:", "recloser.state:1")):
        print(line)
figures.close()
server.close()

# recloser.calls:3|c|#service:shop,name:payments,outcome:success
# recloser.state:1|g|#service:shop,name:payments,state:closed
