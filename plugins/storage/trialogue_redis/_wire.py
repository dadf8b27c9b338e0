"""The bytes of one connection: out at once where the kernel takes them, else by a task; in as they come.

With TLS there is no writing at once: everything goes through the task.
"""

from __future__ import annotations

import os
import ssl

import trio

from trialogue_redis._errors import RedisDown
from trialogue_redis._url import Address

#: Bytes that may wait to be sent. More means that the other side does not read.
MOST_UNSENT = 8 * 1024 * 1024
_READ = 65536


async def connect(address: Address) -> Wire:
    """An open connection; nothing has been said on it. Raises ``OSError`` and ``trio.BrokenResourceError``."""
    if address.path is not None:
        socket = (await trio.open_unix_socket(address.path)).socket
        return Wire(socket, None)
    stream = await trio.open_tcp_stream(address.host, address.port)
    if not address.tls:
        return Wire(stream.socket, None)
    context = await trio.to_thread.run_sync(ssl.create_default_context)
    encrypted = trio.SSLStream(stream, context, server_hostname=address.host)
    try:
        await encrypted.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(encrypted)
        raise
    return Wire(stream.socket, encrypted)


class Wire:
    """One connection. ``send`` never waits; ``receive`` and ``run`` have a task each."""

    def __init__(self, socket: trio.socket.SocketType, encrypted: trio.SSLStream[trio.SocketStream] | None) -> None:
        self._socket = socket
        self._encrypted = encrypted
        self._unsent = bytearray()
        self._more = trio.Event()
        self.closed = False

    def __repr__(self) -> str:
        return f"<Wire unsent={len(self._unsent)} closed={self.closed}>"

    def send(self, data: bytes) -> None:
        """Have ``data`` sent after all that was sent before. Raises ``RedisDown``."""
        if self.closed:
            raise RedisDown("the connection to Redis is closed")
        if self._encrypted is None and not self._unsent:
            data = data[self._write(data) :]
        if data:
            if len(self._unsent) + len(data) > MOST_UNSENT:
                raise RedisDown("Redis does not read what it is sent")
            self._unsent += data
            self._more.set()

    def _write(self, data: bytes) -> int:
        try:
            return os.write(self._socket.fileno(), data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self.close()
            raise RedisDown(f"the connection to Redis broke: {error.strerror}") from error

    async def run(self) -> None:
        """Send what could not be sent at once, until cancelled. Raises ``OSError`` and ``trio.BrokenResourceError``."""
        while True:
            await self._more.wait()
            if self._encrypted is not None:
                data = bytes(self._unsent)
                await self._encrypted.send_all(data)
            else:
                data = bytes(self._unsent[:_READ])
                data = data[: await self._socket.send(data)]
            del self._unsent[: len(data)]
            if not self._unsent:
                self._more = trio.Event()

    async def receive(self) -> bytes:
        """What has arrived; ``b""`` at the end. Raises ``OSError`` and ``trio.BrokenResourceError``."""
        if self._encrypted is not None:
            return bytes(await self._encrypted.receive_some(_READ))
        return await self._socket.recv(_READ)

    def close(self) -> None:
        """Let it go, at once."""
        if not self.closed:
            self.closed = True
            self._socket.close()
