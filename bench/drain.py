"""Readers that take whatever comes and look at none of it: ``python -m bench.drain PORT COUNT``, the bytes to send on stdin.

Each connects, sends those bytes, and reads until the program is ended. It says ``ready`` once all have received something.
What stands behind a line ``--`` is sent once the server has answered: the messages of a WebSocket, whose pings are then
answered from time to time, asked or not.
"""

from __future__ import annotations

import select
import socket
import sys
import time

#: A pong, masked with zeros.
_PONG = b"\x8a\x80\x00\x00\x00\x00"
_PONG_SECONDS = 15.0


def main() -> None:
    """Open them one after the other; then read for ever."""
    port, count = int(sys.argv[1]), int(sys.argv[2])
    first, _, second = sys.stdin.buffer.read().partition(b"\n--\n")
    readers = [_open(port, first, second) for _ in range(count)]
    print("ready", flush=True)
    poll = select.epoll()
    by_number = {reader.fileno(): reader for reader in readers}
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    due = time.monotonic()
    while by_number:
        for number, _ in poll.poll(1.0):
            try:
                data = by_number[number].recv(262_144)
            except OSError:
                data = b""
            if not data:
                poll.unregister(number)
                by_number.pop(number).close()
        if second and time.monotonic() >= due:
            due = time.monotonic() + _PONG_SECONDS
            for reader in by_number.values():
                reader.send(_PONG)
    sys.exit("every reader was hung up on")


def _open(port: int, first: bytes, second: bytes) -> socket.socket:
    reader = socket.create_connection(("127.0.0.1", port), 30)
    reader.sendall(first)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += reader.recv(65_536)
    if not answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 101")):
        sys.exit(f"refused: {answer[:200]!r}")
    reader.sendall(second)
    rest = answer.partition(b"\r\n\r\n")[2]
    # The snapshot is the last thing that comes by itself.
    while b"snapshot" not in rest and b'"event"' not in rest:
        rest += reader.recv(65_536)
    return reader


if __name__ == "__main__":
    main()
