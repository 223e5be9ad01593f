"""An interpreter that ends while breakers are in use: quietly, at once, with 0."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGIN = """
import asyncio, atexit, logging, sys, threading
from recloser import CircuitBreaker, CircuitOpenError, State
from recloser.testing import force

breaker = CircuitBreaker("payments", trip=2, recovery=1000)
logging.getLogger("asyncio").setLevel("ERROR")  # a step may be slow on a busy machine

def answer():
    return "answer"

class Last:
    def __init__(self, act):
        self.act = act

    def __del__(self):
        self.act()
        print("done")
"""

SCENES = {
    "a finaliser uses a breaker": """
def act():
    assert breaker.call(answer) == "answer"
    breaker.trip()
    assert breaker.state == "open"

last = Last(act)
""",
    "a finaliser is the last holder of a breaker": """
last = Last(answer)
last.breaker = breaker
del breaker
""",
    "an exit handler uses a breaker": """
atexit.register(lambda: print(breaker.call(lambda: "done")))
""",
    "a stream is left open": """
@breaker
def items():
    try:
        yield 1
    finally:
        print("done")

stream = items()
next(stream)
""",
    "an async stream is left open": """
@breaker
async def items():
    try:
        yield 1
    finally:
        print("done")

async def main():
    global stream
    stream = items()
    await anext(stream)

asyncio.run(main())
""",
    "a daemon thread waits for a place": """
force(breaker, State.HALF_OPEN)
probe = breaker.acquire()
waits = threading.Event()

def wait():
    waits.set()
    breaker.acquire(timeout=1000)

threading.Thread(target=wait, daemon=True).start()
waits.wait()
print("done")
""",
    "daemon threads go on calling": """
calls = threading.Event()

def call():
    while True:
        try:
            breaker.call(answer)
        except CircuitOpenError:
            breaker.reset()
        calls.set()

for _ in range(2):
    threading.Thread(target=call, daemon=True).start()
calls.wait()
print("done")
""",
    "a block is left by the end": """
import sys
with breaker:
    print("done")
    sys.exit(0)
""",
    "a listener that another thread brought waits for the last": """
class Guest:
    def on_attached(self, breaker):
        return lambda last: None

guest = Guest()
bringer = threading.Thread(target=lambda: breaker.add_listener(guest))
bringer.start()
bringer.join()
print("done")
""",
    "a permit is never settled": """
permit = breaker.acquire()
force(breaker, State.HALF_OPEN)
other = breaker.acquire()
print("done")
""",
}


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES.keys())
def test_interpreter_ends_quietly_while(scene):
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", BEGIN + scene],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (done.returncode, done.stderr, done.stdout) == (0, "", "done\n")
