"""Bytes to the kernel: at once if it takes them, else with patience that ends.

Hypercorn sends under a lock, in a shielded scope without a deadline: a client that stops reading holds the app for ever
and the process at shutdown. Here the usual case is one system call. Only what the kernel does not take is waited with,
and the wait ends when the socket takes nothing for ``send_deadline``, or when somebody closes it (the reaper, at the
latest after the grace). A slow reader that does read is never cut.
"""

from __future__ import annotations

import os
import ssl

import trio

from trialogue_server._guard.clock import LoopClock

_SLICE = 65_536
#: Writes that one connection may make before others have their turn: more than an answer of a few pieces needs.
_TURN = 16


class Writer:
    """The only way out of one connection. All writers of the connection come through here and never interleave."""

    def __init__(self, sock: trio.socket.SocketType, deadline: float, clock: LoopClock) -> None:
        self._socket = sock
        self._deadline = deadline
        self._clock = clock
        # Held while a rest is waiting; whoever finds it held queues behind.
        self._lock = trio.Lock()
        # How often it wrote in which round of the loop.
        self._round = 0
        self._writes = 0

    @property
    def busy(self) -> bool:
        """Whether a rest is on its way, so that nothing may be written past it."""
        return self._lock.locked()

    def write_nowait(self, data: bytes | memoryview) -> int:
        """How many bytes the kernel took now: 0 if it is full or a rest is still on its way.

        Raises ``trio.BrokenResourceError`` when the peer or the socket is gone. What was not taken must be given to
        ``write_rest`` before anything else is written, without a checkpoint between the two.
        """
        return 0 if self._lock.locked() else self._take(data)

    async def write(self, data: bytes) -> None:
        """All of ``data``. Raises ``trio.BrokenResourceError`` when the peer is gone or takes nothing any more."""
        taken = self.write_nowait(data)
        if taken < len(data):
            await self.write_rest(memoryview(data)[taken:])
        elif self._greedy():
            await trio.lowlevel.checkpoint()

    async def write_rest(self, data: memoryview) -> None:
        """What ``write_nowait`` did not take."""
        # Shielded, because half a chunk would spoil the framing. Bounded: each wait below has its deadline.
        with trio.CancelScope(shield=True):
            async with self._lock:
                while data:
                    await self._writable()
                    data = data[self._take(data) :]

    async def _writable(self) -> None:
        with trio.move_on_after(self._deadline):
            try:
                await trio.lowlevel.wait_writable(self._socket)
            except (OSError, ValueError, trio.ClosedResourceError) as error:
                raise trio.BrokenResourceError("the connection was closed while bytes were waiting") from error
            return
        raise trio.BrokenResourceError(f"the peer took nothing for {self._deadline:g} s")

    def _greedy(self) -> bool:
        if self._round != self._clock.rounds:
            self._round = self._clock.rounds
            self._writes = 0
        self._writes += 1
        return self._writes > _TURN

    def _take(self, data: bytes | memoryview) -> int:
        try:
            # A closed socket's number is -1: never somebody else's.
            return os.write(self._socket.fileno(), data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise trio.BrokenResourceError("the peer is gone") from error


class TLSWriter(Writer):
    """The same promises where TLS is in the process; never at once, because only the TLS stream knows its records."""

    def __init__(
        self, stream: trio.SSLStream[trio.SocketStream], sock: trio.socket.SocketType, deadline: float, clock: LoopClock
    ) -> None:
        super().__init__(sock, deadline, clock)
        self._stream = stream

    def write_nowait(self, data: bytes | memoryview) -> int:
        """Nothing, always."""
        return 0

    async def write_rest(self, data: memoryview) -> None:
        """In slices, so that the deadline asks for progress and not for the whole."""
        with trio.CancelScope(shield=True):
            async with self._lock:
                for start in range(0, len(data), _SLICE):
                    await self._send(data[start : start + _SLICE])

    async def _send(self, data: memoryview) -> None:
        with trio.move_on_after(self._deadline):
            try:
                await self._stream.send_all(data)
            except (ssl.SSLError, trio.ClosedResourceError, trio.BusyResourceError) as error:
                raise trio.BrokenResourceError("the TLS connection was closed or is broken") from error
            return
        raise trio.BrokenResourceError(f"the peer took nothing for {self._deadline:g} s")
