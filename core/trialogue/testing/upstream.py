"""An HTTP upstream on the loopback interface that answers byte for byte what a test tells it: for providers' tests.

    async with open_upstream([chat_head(), chat_event("Hel"), Pause(0.1), chat_event("lo"), *chat_end()]) as upstream:
        provider = MyProvider(upstream.url)

A reply is a sequence of steps, sent while the client stays: bytes, a ``Pause``, a ``trio.Event`` to wait for, or
``HANG_UP``, which closes the connection. After a reply without it the connection serves the next request.
"""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec
import trio

from trialogue.testing.providers import Pause


class HangUp(msgspec.Struct, frozen=True):
    """Close the connection; see ``HANG_UP``."""


HANG_UP: Final = HangUp()

ReplyStep: TypeAlias = bytes | Pause | trio.Event | HangUp
#: The steps (which may be without end), or what makes them from the request.
Reply: TypeAlias = "Sequence[ReplyStep] | Callable[[HttpRequest], Sequence[ReplyStep] | Iterator[ReplyStep]]"


class HttpRequest(msgspec.Struct, frozen=True):
    """What arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, decoded; any JSON value."""
        return json.loads(self.body)


class Upstream:
    """The n-th reply answers the n-th request, and the last one all that follow."""

    def __init__(self, port: int, replies: Sequence[Reply]) -> None:
        self.url: str = f"http://127.0.0.1:{port}/v1"
        self.replies: list[Reply] = list(replies)
        self.requests: list[HttpRequest] = []
        #: Connections accepted so far, and requests that are being answered now.
        self.connections: int = 0
        self.busy: int = 0
        self._changed = trio.Event()

    async def wait_idle(self) -> None:
        """Until no request is being answered: each was answered in full or its client has left."""
        while self.busy:
            await self._changed.wait()

    async def wait_busy(self) -> None:
        """Until a request is being answered."""
        while not self.busy:
            await self._changed.wait()

    async def serve(self, stream: trio.SocketStream) -> None:
        """One connection, request after request."""
        self.connections += 1
        received = bytearray()
        try:
            async with stream:
                while request := await _read_request(stream, received):
                    await self._answer(stream, request)
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client left, which is its right

    async def _answer(self, stream: trio.SocketStream, request: HttpRequest) -> None:
        reply = self.replies[min(len(self.requests), len(self.replies) - 1)]
        self.requests.append(request)
        self._count(1)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_leave_with_client, stream, nursery.cancel_scope)
                await _play(stream, reply(request) if callable(reply) else reply)
                nursery.cancel_scope.cancel()
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self.busy += change
        self._changed.set()
        self._changed = trio.Event()


@asynccontextmanager
async def open_upstream(*replies: Reply) -> AsyncGenerator[Upstream]:
    """Serves on a free port until the block is left."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    upstream = Upstream(listener.socket.getsockname()[1], replies)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_listeners, upstream.serve, [listener]))
        try:
            yield upstream
        finally:
            nursery.cancel_scope.cancel()


def http_reply(status: int, body: object, **headers: str) -> list[ReplyStep]:
    """A whole reply with a JSON body; underscores in the names of ``headers`` stand for hyphens."""
    data = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Status", "Content-Type: application/json", f"Content-Length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ["\r\n".join([*lines, "", ""]).encode() + data]


def chat_head() -> bytes:
    """The head of an event stream, in HTTP's chunked coding."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def in_chunk(data: bytes) -> bytes:
    """``data`` as one chunk of HTTP's chunked coding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def chat_event(text: str | None = None, finish: str | None = None, **chunk: Any) -> bytes:
    """One event of Chat Completions, in a chunk of its own; ``chunk`` (JSON values) adds fields or replaces them."""
    delta = {} if text is None else {"content": text}
    value = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **chunk}
    return in_chunk(b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n")


def chat_end(prompt_tokens: int = 7, completion_tokens: int = 3, finish: str = "stop") -> list[bytes]:
    """The finish, the count, and the end of the stream."""
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    last = in_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
    return [chat_event(finish=finish), chat_event(choices=[], usage=usage), last]


def message_event(kind: str, **fields: Any) -> bytes:
    """One event of Anthropic's Messages, in a chunk of its own; ``fields`` are JSON values."""
    value = json.dumps({"type": kind, **fields}, ensure_ascii=False)
    return in_chunk(f"event: {kind}\ndata: {value}\n\n".encode())


def message_begin(input_tokens: int = 7) -> list[bytes]:
    """The message and its first block begin."""
    usage = {"input_tokens": input_tokens, "output_tokens": 1}
    return [
        message_event("message_start", message={"id": "msg_1", "role": "assistant", "content": [], "usage": usage}),
        message_event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    ]


def message_text(text: str) -> bytes:
    """A token of a text."""
    return message_event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def message_end(output_tokens: int = 3, reason: str = "end_turn") -> list[bytes]:
    """The block ends, then the reason and the count, and the end of the stream."""
    return [
        message_event("content_block_stop", index=0),
        message_event("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": output_tokens}),
        message_event("message_stop") + b"0\r\n\r\n",
    ]


async def _play(stream: trio.SocketStream, steps: Sequence[ReplyStep] | Iterator[ReplyStep]) -> None:
    for step in steps:
        match step:
            case bytes():
                await stream.send_all(step)
            case Pause(seconds):
                await trio.sleep(seconds)
            case trio.Event():
                await step.wait()
            case HangUp():
                await stream.aclose()
                return


async def _leave_with_client(stream: trio.SocketStream, scope: trio.CancelScope) -> None:
    """Ends the reply when the client closes. It only looks: the bytes of a next request are not its own."""
    with suppress(trio.ClosedResourceError, OSError):
        if await stream.socket.recv(1, socket.MSG_PEEK):
            return
    scope.cancel()


async def _read_request(stream: trio.SocketStream, received: bytearray) -> HttpRequest | None:
    while b"\r\n\r\n" not in received:
        if not await _receive_into(stream, received):
            return None
    head, _, rest = bytes(received).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    received[:] = rest
    length = int(headers.get("content-length", "0"))
    while len(received) < length:
        if not await _receive_into(stream, received):
            return None
    body = bytes(received[:length])
    del received[:length]
    method, path, _ = first.split(" ")
    return HttpRequest(method, path, headers, body)


async def _receive_into(stream: trio.SocketStream, received: bytearray) -> bool:
    data = await stream.receive_some()
    received += data
    return bool(data)
