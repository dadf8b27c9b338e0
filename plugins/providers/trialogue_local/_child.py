"""The parent's side of the child process: started when it is needed, started anew with growing pauses, ended for good.

The control socket is the child's life: it ends when the other side is closed, so nothing that happens to the server, not
even SIGKILL, leaves it behind. (A signal on the parent's death would not do: Linux sends it when the *thread* that
started the child ends, and Trio starts processes in a worker thread.)
"""

from __future__ import annotations

import array
import os
import socket
import subprocess
import sys
from pathlib import Path

import trio

from trialogue import ProviderError

_WORKER = Path(__file__).with_name("_worker.py")
#: The pause after the first death in a row, which doubles with each further one, and its bound.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
#: Seconds for the child to end by itself once its control socket is closed.
_PATIENCE = 2.0


class Child:
    """At most one process at a time."""

    def __init__(self, weights: Path, threads: int) -> None:
        self._arguments = [str(weights), str(threads)]
        self._process: trio.Process | None = None
        #: Our end of the control socket, as long as there is a process.
        self._control: trio.socket.SocketType | None = None
        self._starting = trio.Lock()
        #: Deaths since an answer was last complete, and when the next start is allowed.
        self._deaths = 0
        self._not_before = float("-inf")

    async def connect(self) -> trio.SocketStream:
        """A connection for one request; starts the process when there is none. Raises ``ProviderError``."""
        async with self._starting:
            control = await self._alive()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                await control.sendmsg(
                    [b"+"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))]
                )
            except BaseException as error:
                ours.close()
                if isinstance(error, OSError):
                    raise ProviderError("the local model's process has just ended", kind="unavailable") from error
                raise
        return trio.SocketStream(trio.socket.from_stdlib_socket(ours))

    def well(self) -> None:
        """An answer was complete: whatever happened before does not count."""
        self._deaths = 0

    async def end_in_words(self) -> str | None:
        """How the process ended, if it did; its sockets close a moment before that can be seen."""
        if self._process is None:
            return None
        with trio.move_on_after(0.1):
            code = await self._process.wait()
            return f"the local model's process ended with {f'signal {-code}' if code < 0 else f'status {code}'}"
        return None

    @property
    def pid(self) -> int | None:
        """The process's id, while there is one."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    async def aclose(self) -> None:
        """End the process: ask, wait, kill."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is None:
            return
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 2 * _PATIENCE):
            with trio.move_on_after(_PATIENCE):
                await self._process.wait()
            self._process.kill()
            await self._process.wait()
        self._process = None

    async def _alive(self) -> trio.socket.SocketType:
        if self._control is not None and self._process is not None and self._process.poll() is None:
            return self._control
        if self._process is not None:
            await self._bury()
        if (wait := self._not_before - trio.current_time()) > 0:
            detail = (
                f"the local model's process died {self._deaths} times in a row and is started again in {wait:.1f} s"
            )
            raise ProviderError(detail, kind="unavailable", retry_after=wait)
        return await self._start()

    async def _bury(self) -> None:
        self._deaths += 1
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (self._deaths - 1))
        self._not_before = trio.current_time() + pause
        await self.aclose()

    async def _start(self) -> trio.socket.SocketType:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = await trio.lowlevel.open_process(
                    [sys.executable, "-P", str(_WORKER), str(theirs.fileno()), *self._arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    # Threads that wait shall sleep: spinning would starve them and us when the machine is busy.
                    env={**os.environ, "OMP_WAIT_POLICY": "passive"},
                )
            except BaseException:
                ours.close()
                raise
        self._control = trio.socket.from_stdlib_socket(ours)
        return self._control

    def __repr__(self) -> str:
        return f"<Child pid={self.pid} deaths={self._deaths}>"
