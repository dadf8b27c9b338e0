"""Readers of one conversation, over server-sent events and WebSockets, for the benchmarks that hold many of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager

from bench.client import Account
from bench.plan import request
from bench.processes import LOAD_CPU, spawn

UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
#: How long readers may take to open.
PATIENCE = 120.0


def sse(path: str, account: Account | None = None) -> bytes:
    """What opens an event stream."""
    cookie = {"Cookie": account.cookie} if account is not None else {}
    return request("GET", path, None, {**cookie, "Accept": "text/event-stream"})


def websocket(path: str, account: Account | None = None, conversation: str | None = None) -> bytes:
    """What opens a WebSocket, and subscribes to a conversation on it."""
    cookie = {"Cookie": account.cookie} if account is not None else {}
    messages = [{"type": "hello"}, {"type": "subscribe", "id": "1", "conversation": conversation}] if account else []
    frames = b"".join(masked(json.dumps(message).encode()) for message in messages)
    return request("GET", path, None, {**cookie, **UPGRADE}) + b"\n--\n" + (frames or masked(b"{}"))


def masked(text: bytes) -> bytes:
    """A client's frame, masked with zeros, which changes nothing."""
    size = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2, "big")
    return b"\x81" + size + bytes(4) + text


@contextmanager
def open_readers(port: int, count: int, opening: bytes) -> Generator[None]:
    """So many of them, open for the length of the block."""
    words = [sys.executable, "-m", "bench.drain", str(port), str(count)]
    process = spawn(words, LOAD_CPU, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(opening)
        process.stdin.close()
        deadline = time.monotonic() + PATIENCE
        if process.stdout.readline() != b"ready\n" or time.monotonic() > deadline:
            raise RuntimeError("the readers did not get through")
        yield
        if process.poll() is not None:
            raise RuntimeError("the readers were hung up on")
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()
