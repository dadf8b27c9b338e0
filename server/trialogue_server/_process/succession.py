"""Another process takes our place on the same port: a new version after an upgrade, or new settings.

    we        start it as we were started, and hand it our listening sockets
    it        imports, reads its settings, says that it is ready, and waits
    we        step back as far as the store demands, and tell it to go
    it        opens the store, migrates it if need be, serves, and says so
    we        make it the service's main process, and end

The two talk over a socket pair. As long as it has not said that it serves, it may fail in any way and we go on. A connection
that is made meanwhile waits in the kernel, in the queue of a socket that both have.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Mapping, MutableMapping, Sequence

import trio

from trialogue import ConfigurationError

VARIABLE = "TRIALOGUE_PREDECESSOR"
#: Seconds it may take to say that it is ready: imports and settings, minutes of them where a processor is emulated. Nobody
#: waits for it meanwhile: we serve, and one that fails ends, which shows at once. With the next it stays below the 15
#: minutes of the units in ``deploy``.
READY = 280.0
#: Seconds it may take to open the store. A migration is in them.
GO = 600.0
#: Seconds a process that failed may take to end.
LEAVE = 5.0
#: More listening sockets than any configuration names.
_MOST_SOCKETS = 64

_log = logging.getLogger("trialogue.serve")


class Successor:
    """The process that is to take our place, as we see it."""

    def __init__(self, process: trio.Process, line: trio.SocketStream) -> None:
        self._process = process
        self._line = line

    def __repr__(self) -> str:
        return f"<Successor pid={self.pid}>"

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def is_ready(self) -> bool:
        """Whether it has come as far as it can without our place. If not, it is gone."""
        return await self._says(b"ready", READY)

    async def takes_over(self) -> bool:
        """Tell it to go; whether it serves. If not, it is gone, and the place is ours."""
        with contextlib.suppress(trio.BrokenResourceError):  # It has ended; that shows below.
            await self._line.send_all(b"go\n")
        return await self._says(b"serving", GO)

    async def confirm(self) -> None:
        """Let it speak for the service."""
        try:
            await self._line.send_all(b"yours\n")
        except trio.BrokenResourceError:
            _log.error("the process that took over ended at once")
        await self._line.aclose()

    async def dismiss(self) -> None:
        """End it."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 2 * LEAVE):
            await self._line.aclose()
            with trio.move_on_after(LEAVE):
                await self._process.wait()
                return
            self._process.kill()
            await self._process.wait()

    async def _says(self, word: bytes, patience: float) -> bool:
        said = b""
        try:
            with trio.move_on_after(patience):
                said = await _line_from(self._line)
        except BaseException:
            await self.dismiss()
            raise
        if said == word:
            return True
        await self.dismiss()
        _log.error(
            "the process that was to take over did not get as far as %r (exit code %s): we go on; its own words are above",
            word.decode(),
            self._process.returncode,
        )
        return False


async def start_successor(
    sockets: Sequence[socket.socket], environment: Mapping[str, str], *, shared: bool
) -> Successor:
    """Start the program again as it was started, which may be another version by now. Raises ``OSError``.

    ``environment`` is added to ours. ``shared`` says that the sockets are not ours alone.
    """
    ours, its = socket.socketpair()
    with its, contextlib.ExitStack() as undone:
        undone.callback(ours.close)
        socket.send_fds(ours, [b"shared" if shared else b"own"], [sock.fileno() for sock in sockets])
        process = await trio.lowlevel.open_process(
            _command(),
            pass_fds=[its.fileno()],
            env={**os.environ, **environment, VARIABLE: str(its.fileno())},
        )
        undone.pop_all()
    return Successor(process, trio.SocketStream(trio.socket.from_stdlib_socket(ours)))


def _command() -> list[str]:
    # A script is named as it was called, so that a link in its path leads to what it names now.
    if os.access(sys.argv[0], os.X_OK):
        return sys.argv
    return [sys.executable, *sys.orig_argv[1:]]


class Predecessor:
    """The process whose place we are to take, as we see it."""

    def __init__(self, line: socket.socket) -> None:
        line.setblocking(True)
        word, descriptors, _, _ = socket.recv_fds(line, 16, _MOST_SOCKETS)
        #: Its listening sockets, now ours as well.
        self.sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        #: Whether others have them too.
        self.shared = word == b"shared"
        for sock in self.sockets:
            sock.setblocking(False)
        self._socket = line
        self._line: trio.SocketStream

    async def wait(self) -> None:
        """Say that we are ready, and wait until it has stepped back. Raises ``ConfigurationError`` when it is gone."""
        self._line = trio.SocketStream(trio.socket.from_stdlib_socket(self._socket))
        await self._say(b"ready\n")
        if await _line_from(self._line) != b"go":
            raise ConfigurationError(
                "the process whose place was to be taken does not want to give it: nothing was done"
            )

    async def serving(self) -> None:
        """Say that we serve; returns when the service is ours, or when it is gone."""
        await self._say(b"serving\n")
        await _line_from(self._line)
        await self._line.aclose()

    async def _say(self, line: bytes) -> None:
        with contextlib.suppress(trio.BrokenResourceError):  # It is gone, which the next answer tells.
            await self._line.send_all(line)


def find_predecessor(environment: MutableMapping[str, str]) -> Predecessor | None:
    """The process whose place we were started to take, if we were. Takes the variable out of ``environment``."""
    number = environment.pop(VARIABLE, "")
    if not number:
        return None
    try:
        return Predecessor(socket.socket(fileno=int(number)))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{VARIABLE} is for a process that another one starts, not for you: unset it"
        ) from error


async def _line_from(line: trio.SocketStream) -> bytes:
    """What is said next, without the line's end; what came of it, when the other side is gone."""
    said = b""
    try:
        while not said.endswith(b"\n"):
            piece = await line.receive_some(64)
            if not piece:
                break
            said += piece
    except trio.BrokenResourceError:
        pass
    return said.rstrip(b"\n")
