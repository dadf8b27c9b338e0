"""A request to another node and its answer, over HTTP/1.1. Connections are kept for the next one, a few to each node."""

from __future__ import annotations

import select
import ssl
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

import h11
import trio

#: Connections kept to one node, and the seconds for which one that nobody uses is kept.
KEPT, IDLE = 8, 20.0
#: Bytes of an answer.
MOST = 1_048_576


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes


class Wires:
    """Connections to other nodes."""

    def __init__(self) -> None:
        # By address, each with when it was used: the last one at the end.
        self._idle: dict[str, list[tuple[_Wire, float]]] = {}
        self._tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"<Wires idle={sum(map(len, self._idle.values()))}>"

    async def post(self, address: str, path: str, headers: Sequence[tuple[str, str]], body: bytes) -> Answer:
        """Send a request, once, and return its answer. Raises ``OSError``, ``trio.BrokenResourceError``, ``ValueError``.

        It is the caller's to bound the time. A connection that was left in the midst of an answer is closed.
        """
        wire = self._take(address) or await self._connect(address)
        try:
            answer = await wire.post(path, headers, body)
        except BaseException:
            wire.close()
            raise
        self._give_back(address, wire)
        return answer

    def _take(self, address: str) -> _Wire | None:
        kept = self._idle.get(address, [])
        while kept:
            wire, used_at = kept.pop()
            if trio.current_time() - used_at < IDLE and wire.is_good():
                return wire
            wire.close()
        return None

    def _give_back(self, address: str, wire: _Wire) -> None:
        self._let_go()
        kept = self._idle.setdefault(address, [])
        if wire.reusable and len(kept) < KEPT:
            kept.append((wire, trio.current_time()))
        else:
            wire.close()

    def _let_go(self) -> None:
        """Of what nobody used for long: a node that is gone is never asked again, and its address may be nobody's."""
        too_old = trio.current_time() - IDLE
        for address, kept in list(self._idle.items()):
            while kept and kept[0][1] <= too_old:
                kept.pop(0)[0].close()
            if not kept:
                del self._idle[address]

    def close(self) -> None:
        """Let go of all that are idle."""
        for kept in self._idle.values():
            for wire, _ in kept:
                wire.close()
        self._idle.clear()

    async def _connect(self, address: str) -> _Wire:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        stream = await trio.open_tcp_stream(host, port)
        if parts.scheme != "https":
            return _Wire(stream, parts.netloc, stream)
        self._tls = self._tls or ssl.create_default_context()
        secured = trio.SSLStream(stream, self._tls, server_hostname=host, https_compatible=True)
        return _Wire(secured, parts.netloc, stream)


class _Wire:
    """One connection."""

    def __init__(self, stream: trio.abc.Stream, host: str, socket: trio.SocketStream) -> None:
        self._stream = stream
        self._host = host
        self._socket = socket.socket
        self._http = h11.Connection(h11.CLIENT)

    @property
    def reusable(self) -> bool:
        """Whether another request may follow."""
        return self._http.our_state is h11.IDLE

    def is_good(self) -> bool:
        """Whether the other side has neither closed it nor said anything unasked."""
        if self._socket.fileno() < 0:
            return False
        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        self._socket.close()

    async def post(self, path: str, headers: Sequence[tuple[str, str]], body: bytes) -> Answer:
        about = [("host", self._host), ("content-length", str(len(body))), *headers]
        head = self._http.send(h11.Request(method="POST", target=path, headers=about))
        data = self._http.send(h11.Data(data=body))
        end = self._http.send(h11.EndOfMessage())
        await self._stream.send_all((head or b"") + (data or b"") + (end or b""))
        return await self._read()

    async def _read(self) -> Answer:
        status, size, pieces = 0, 0, list[bytes]()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(bytes(await self._stream.receive_some(65_536)))
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                pieces.append(bytes(event.data))
                size += len(event.data)
                if size > MOST:
                    raise ValueError(f"an answer of more than {MOST} bytes")
            elif isinstance(event, h11.EndOfMessage):
                if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
                    self._http.start_next_cycle()
                return Answer(status, b"".join(pieces))
            elif isinstance(event, h11.ConnectionClosed):
                raise trio.BrokenResourceError("the connection was closed before the answer was whole")
