"""A client of our WebSocket that speaks RFC 6455 through wsproto, over any Trio stream, and can be cut anywhere."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import trio
import wsproto
import wsproto.events as frames

PATIENCE = 10.0


class Closed(Exception):
    """The server closed the socket."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class Refused(Exception):
    """The handshake was answered by something else than a WebSocket."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__(f"{status} {body!r}")
        self.status = status
        self.headers = headers
        self.body = body


class Socket:
    """One open WebSocket."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.subprotocol: str | None = None
        self._protocol = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self._text = ""
        self._events: list[frames.Event] = []

    async def shake_hands(self, headers: Mapping[str, str], subprotocols: list[str], path: str) -> None:
        """Ask for it. Raises ``Refused``."""
        extra = [(name.encode(), value.encode()) for name, value in headers.items()]
        request = frames.Request(host="127.0.0.1", target=path, extra_headers=extra, subprotocols=subprotocols)
        await self.stream.send_all(self._protocol.send(request))
        match await self._next():
            case frames.AcceptConnection(subprotocol=subprotocol):
                self.subprotocol = subprotocol
            case frames.RejectConnection() as answer:
                body = b""
                while True:
                    match await self._next():
                        case frames.RejectData(data=data, body_finished=finished):
                            body += bytes(data)
                            if finished:
                                break
                        case other:
                            raise AssertionError(other)
                found = {name.decode().lower(): value.decode() for name, value in answer.headers}
                raise Refused(answer.status_code, found, body)
            case other:
                raise AssertionError(other)

    async def say(self, **message: Any) -> None:
        """Send a message."""
        await self.send(json.dumps(message))

    async def send(self, text: str | bytes) -> None:
        """Send anything as one message."""
        event = frames.TextMessage(text) if isinstance(text, str) else frames.BytesMessage(text)
        await self.stream.send_all(self._protocol.send(event))

    async def hear(self) -> dict[str, Any]:
        """The next message that is not a sign of life. Raises ``Closed``, and ``BrokenResourceError`` when it was cut."""
        with trio.fail_after(PATIENCE):
            while True:
                text = await self.text()
                message: dict[str, Any] = json.loads(text)
                if message["type"] != "ping":
                    return message

    async def text(self) -> str:
        """The next message as it came."""
        while True:
            match await self._next():
                case frames.TextMessage(data=data, message_finished=finished):
                    self._text += data
                    if finished:
                        text, self._text = self._text, ""
                        return text
                case frames.Ping() as ping if self._protocol.state is wsproto.connection.ConnectionState.OPEN:
                    await self.stream.send_all(self._protocol.send(ping.response()))
                case frames.CloseConnection(code=code, reason=reason) as close:
                    if self._protocol.state is wsproto.connection.ConnectionState.REMOTE_CLOSING:
                        await self.stream.send_all(self._protocol.send(close.response()))
                    raise Closed(code, reason or "")
                case _:
                    pass

    async def close(self, code: int = 1000) -> int:
        """Say goodbye, and the code of the answer."""
        await self.stream.send_all(self._protocol.send(frames.CloseConnection(code)))
        with trio.fail_after(PATIENCE):
            try:
                while True:
                    await self.text()
            except Closed as closed:
                return closed.code

    async def closed(self) -> tuple[int, str]:
        """The code and the reason with which the server closes it, whatever it says before."""
        try:
            while True:
                await self.hear()
        except Closed as closed:
            return closed.code, closed.reason

    async def hear_until(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """Messages up to the first whose ``event`` or ``type`` is ``kind`` and that has these fields."""
        heard: list[dict[str, Any]] = []
        while True:
            message = await self.hear()
            heard.append(message)
            if kind in (message.get("event"), message["type"]) and fields.items() <= message.items():
                return heard

    async def greet(self, token: str | None = None) -> dict[str, Any]:
        """Say hello; what the server answers."""
        await self.say(type="hello", **({} if token is None else {"token": token}))
        return await self.hear()

    async def _next(self) -> frames.Event:
        while not self._events:
            data = await self.stream.receive_some(65_536)
            if not data:
                raise trio.BrokenResourceError("the connection ended without a Close frame")
            self._protocol.receive_data(bytes(data))
            self._events += self._protocol.events()
        return self._events.pop(0)


@asynccontextmanager
async def open_socket(
    port: int, *, subprotocols: tuple[str, ...] = ("trialogue.v1",), path: str = "/api/ws", **headers: str
) -> AsyncGenerator[Socket]:
    """A WebSocket after its handshake; the connection is closed with the block, however that ends."""
    with trio.fail_after(60):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            socket = Socket(stream)
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            await socket.shake_hands(sent, list(subprotocols), path)
            yield socket


def cookies_of(client: Any) -> str:
    """The cookies of an HTTP client, as the header has them."""
    return "; ".join(f"{name}={value}" for name, value in client.cookies.items())
