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
    return chat_delta({} if text is None else {"content": text}, finish, **chunk)


def chat_delta(delta: dict[str, Any], finish: str | None = None, **chunk: Any) -> bytes:
    """One event with any ``delta``: thoughts, a refusal, what a server calls its own."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    value = {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **chunk}
    return in_chunk(b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n")


def chat_call(index: int, call: str | None = None, name: str | None = None, arguments: str = "") -> bytes:
    """A piece of a tool call: its beginning, with the id and the name, or more of its arguments."""
    begun = {} if name is None else {"id": call, "type": "function"}
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return chat_delta({"tool_calls": [{"index": index, **begun, "function": function}]})


def chat_end(prompt_tokens: int = 7, completion_tokens: int = 3, finish: str = "stop") -> list[bytes]:
    """The finish, the count, and the end of the stream."""
    total = prompt_tokens + completion_tokens
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": total}
    last = in_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
    return [chat_event(finish=finish), chat_event(choices=[], usage=usage), last]


def message_event(kind: str, **fields: Any) -> bytes:
    """One event of Anthropic's Messages, in a chunk of its own; ``fields`` are JSON values."""
    value = json.dumps({"type": kind, **fields}, ensure_ascii=False)
    return in_chunk(f"event: {kind}\ndata: {value}\n\n".encode())


def message_begin(input_tokens: int = 7, *, block: bool = True) -> list[bytes]:
    """The message begins, and its first block, unless there is to be none yet."""
    usage = {"input_tokens": input_tokens, "output_tokens": 1}
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "usage": usage,
    }
    began = [message_event("message_start", message={**message, "stop_reason": None, "stop_sequence": None})]
    return [*began, message_block(0, {"type": "text", "text": ""})] if block else began


def message_block(index: int, block: dict[str, Any]) -> bytes:
    """A block begins."""
    return message_event("content_block_start", index=index, content_block=block)


def message_text(text: str, index: int = 0) -> bytes:
    """A token of a text."""
    return message_event("content_block_delta", index=index, delta={"type": "text_delta", "text": text})


def message_call(index: int, call: str, name: str, *arguments: str) -> list[bytes]:
    """A whole tool call, its arguments in pieces."""
    block: dict[str, Any] = {"type": "tool_use", "id": call, "name": name, "input": {}}
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in arguments]
    return [
        message_block(index, block),
        *(message_event("content_block_delta", index=index, delta=delta) for delta in deltas),
        message_event("content_block_stop", index=index),
    ]


def message_thought(index: int, text: str, signature: str) -> list[bytes]:
    """A whole thought, sealed."""
    deltas = [{"type": "thinking_delta", "thinking": text}, {"type": "signature_delta", "signature": signature}]
    return [
        message_block(index, {"type": "thinking", "thinking": "", "signature": ""}),
        *(message_event("content_block_delta", index=index, delta=delta) for delta in deltas),
        message_event("content_block_stop", index=index),
    ]


def message_citation(document: int, quote: str, title: str | None = None, index: int = 0) -> bytes:
    """Where the text of a block comes from: a place in the request's documents, by their order."""
    place = {"start_char_index": 0, "end_char_index": len(quote), "file_id": None}
    citation = {"type": "char_location", "cited_text": quote, "document_index": document, "document_title": title}
    delta = {"type": "citations_delta", "citation": {**citation, **place}}
    return message_event("content_block_delta", index=index, delta=delta)


def message_end(output_tokens: int = 3, reason: str = "end_turn", index: int | None = 0) -> list[bytes]:
    """The block ends (``None``: none is open), then the reason and the count, and the end of the stream."""
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [
        *([] if index is None else [message_event("content_block_stop", index=index)]),
        message_event("message_delta", delta=delta, usage={"output_tokens": output_tokens}),
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
