"""A gRPC channel behind a breaker: statuses that count, and a rejection in their place."""

from concurrent.futures import ThreadPoolExecutor

import grpc

from recloser import CircuitBreaker
from recloser.integrations.grpc import interceptor


def charge(request: bytes, context: grpc.ServicerContext) -> bytes:
    if request == b"nobody":
        context.abort(grpc.StatusCode.NOT_FOUND, "no such customer")
    context.abort(grpc.StatusCode.UNAVAILABLE, "shutting down")


server = grpc.server(ThreadPoolExecutor(1))
handler = grpc.unary_unary_rpc_method_handler(charge)
handlers = grpc.method_handlers_generic_handler("Payments", {"Charge": handler})
server.add_generic_rpc_handlers([handlers])
port = server.add_insecure_port("127.0.0.1:0")
server.start()
payments = CircuitBreaker("payments", trip=2)
with grpc.insecure_channel(f"127.0.0.1:{port}") as plain:
    channel = grpc.intercept_channel(plain, interceptor(payments))
    call = channel.unary_unary("/Payments/Charge")
    for customer in [b"nobody", b"a", b"b", b"c"]:
        try:
            call(customer)
        except grpc.RpcError as error:  # a rejection is one, too
            print(type(error).__name__, error.code(), payments.state)
server.stop(grace=1).wait()

# _InactiveRpcError StatusCode.NOT_FOUND closed
# _InactiveRpcError StatusCode.UNAVAILABLE closed
# _InactiveRpcError StatusCode.UNAVAILABLE open
# RpcCircuitOpenError StatusCode.UNAVAILABLE open
