"""A socket in the data folder, at which a running server is asked for what ``Administration`` can, and to prune.

Whoever may read the data may ask: the server's own user, and root. The kernel says who is there; others are hung up on. No
port is opened, and no secret needed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import assert_never

import msgspec
import trio

from trialogue import Pruned, TrialogueError
from trialogue_server._administering import asks
from trialogue_server._administering.doing import Administration

#: Asks at a time, and seconds for each: there are few people who do this.
AT_ONCE, PATIENCE = 4, 60.0
#: Seconds for pruning, which gives way to traffic all the time.
LONG = 6 * 3600.0
#: The peer's process, user and group, as the kernel gives them.
_CREDENTIALS = struct.Struct("3i")

_log = logging.getLogger("trialogue.serve")


@asynccontextmanager
async def open_desk(admin: Administration, prune: Callable[[], Awaitable[Pruned]], path: Path) -> AsyncGenerator[None]:
    """Answer at ``path`` while the block lasts. Where there can be no such socket it is said, and nothing else is worse."""
    try:
        listening = _listen(path)
    except (OSError, AttributeError) as error:  # SO_PEERCRED is Linux's.
        _log.warning("%s cannot be listened on (%s): `trialogue users` works with --server only", path, error)
        yield
        return
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
    mine = os.stat(path).st_ino
    desk = Desk(admin, prune)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, desk.answer, [listener])
        try:
            yield
        finally:
            nursery.cancel_scope.cancel()
            _remove(path, mine)


class Desk:
    """Answers one connection after the other, a few at a time."""

    def __init__(self, admin: Administration, prune: Callable[[], Awaitable[Pruned]]) -> None:
        self._admin = admin
        self._prune = prune
        self._places = trio.CapacityLimiter(AT_ONCE)

    async def answer(self, stream: trio.SocketStream) -> None:
        """One connection: an ask, and what came of it."""
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async with stream, self._places:
                with trio.move_on_after(PATIENCE) as scope:
                    if not _may_ask(stream.socket):
                        return
                    answer = await self._answered(await _line(stream), scope)
                    await stream.send_all(await trio.to_thread.run_sync(asks.encode, answer))

    async def _answered(self, line: bytes, scope: trio.CancelScope) -> asks.Answer:
        try:
            ask = asks.decode_ask(line)
            if isinstance(ask, asks.Prune):
                scope.deadline = trio.current_time() + LONG
                value: object = await self._prune()
            else:
                value = await do(self._admin, ask)
        except msgspec.DecodeError as error:
            return asks.Answer(problem=f"the server does not know what is asked ({error}): is it of this version?")
        except TrialogueError as error:
            return asks.Answer(problem=error.detail)
        except Exception:
            _log.exception("what was asked for at the local socket failed")
            return asks.Answer(problem="it failed, and the server's log says how: please report it")
        return asks.Answer(msgspec.Raw(await trio.to_thread.run_sync(asks.encode, value)))


async def do(admin: Administration, ask: asks.OfAccounts) -> object:
    """Have it done. Raises ``TrialogueError``."""
    match ask:
        case asks.Users(text):
            return await admin.users(text)
        case asks.Create(email, name, role):
            return await admin.create(email, name, role)
        case asks.Change(user, change):
            return await admin.change(user, change)
        case asks.OfferReset(user):
            return await admin.reset(user)
        case asks.SignOut(user):
            await admin.sign_out(user)
        case asks.Delete(user):
            await admin.delete(user)
        case asks.Invite(body):
            return await admin.invite(body)
        case asks.Keys(user):
            return await admin.keys(user)
        case asks.Revoke(key):
            await admin.revoke(key)
        case _:
            assert_never(ask)
    return None


async def _line(stream: trio.SocketStream) -> bytes:
    line = b""
    while not line.endswith(b"\n") and len(line) <= asks.MOST_ASKED:
        piece = await stream.receive_some(65_536)
        if not piece:
            break
        line += piece
    return line


def _may_ask(peer: trio.socket.SocketType) -> bool:
    """Whether it is root, or who we are; in a user namespace everybody else is nobody."""
    _, user, _ = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return user in (0, os.geteuid())


def _listen(path: Path) -> socket.socket:
    """A socket that is there with all it needs from the first moment on, whatever was there before."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short(fresh) as name:
            fresh.unlink(missing_ok=True)
            listening.bind(name)
        fresh.chmod(0o600)
        listening.listen(AT_ONCE)
        listening.setblocking(False)
        fresh.rename(path)
    except BaseException:
        listening.close()
        raise
    return listening


def _remove(path: Path, mine: int) -> None:
    with contextlib.suppress(OSError):
        # A process that has taken over has put its own there.
        if path.stat().st_ino == mine:
            path.unlink()


@contextmanager
def short(path: Path) -> Generator[str]:
    """A name for ``path`` that a socket's address has room for, however deep it lies."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
