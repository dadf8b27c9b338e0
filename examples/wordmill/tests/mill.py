"""A mill to test against, on a port of its own: it does what the last thing that was said tells it to.

python mill.py 7070    to try the plugin by hand
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import trio


class Mill:
    """Grinds what it is told into words."""

    def __init__(self) -> None:
        #: Connections that are open.
        self.asked = 0

    async def serve(self, stream: trio.SocketStream) -> None:
        self.asked += 1
        try:
            async with stream, trio.open_nursery() as nursery:
                # Until then no answer: who hangs up is noticed at once, whatever is being said.
                line = await _line(stream)
                nursery.start_soon(_until_gone, stream, nursery.cancel_scope)
                _, said = json.loads(line)
                await _answer(stream, said[-1][1])
                nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, ValueError):
            pass
        finally:
            self.asked -= 1

    async def wait_idle(self) -> None:
        while self.asked:  # noqa: ASYNC110 - the counter is the sockets', which have no event
            await trio.sleep(0.001)

    async def wait_busy(self) -> None:
        while not self.asked:  # noqa: ASYNC110
            await trio.sleep(0.001)


@asynccontextmanager
async def open_mill() -> AsyncGenerator[tuple[Mill, int]]:
    """A mill, and its port."""
    mill = Mill()
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, mill.serve, 0, host="127.0.0.1"))
        yield mill, listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def _line(stream: trio.SocketStream) -> bytes:
    data = b""
    while b"\n" not in data:
        more = await stream.receive_some()
        if not more:
            raise trio.BrokenResourceError
        data += more
    return data


async def _until_gone(stream: trio.SocketStream, scope: trio.CancelScope) -> None:
    while await stream.receive_some():
        pass
    scope.cancel()


async def _answer(stream: trio.SocketStream, text: str) -> None:
    match text.split():
        case ["deaf"]:
            await trio.sleep_forever()
        case ["no", why]:
            await stream.send_all(f"no {why}\n".encode())
            return
        case ["endless"]:
            await stream.send_all(b"yes\n")
            while True:
                await stream.send_all(b"word on \n")
                await trio.sleep(0.01)
    words = [*text.split(), "ground", "to", "flour"]
    await stream.send_all(b"yes\n" + b"".join(f"word {word} \n".encode() for word in words))
    match text.split():
        case ["stalled"]:
            await trio.sleep_forever()
        case ["malformed"]:
            await stream.send_all(b"wrd flour\n")
            await trio.sleep_forever()
        case ["truncated"]:
            return
        case _:
            await stream.send_all(b"end\n")


async def main(port: int) -> None:
    """Serve until interrupted."""
    await trio.serve_tcp(Mill().serve, port, host="127.0.0.1")


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]))
