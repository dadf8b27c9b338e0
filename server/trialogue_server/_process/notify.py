"""What the service manager is told: that we serve, that we stop, who goes on in our place, and that we are alive.

Systemd's protocol is a datagram of ``NAME=value`` lines to the socket in ``NOTIFY_SOCKET``; without one nothing is told.
Alive is what makes progress: the loop turns, or nobody would tell, and the store answers, be it with an error. A process
whose store hangs is fed no more, and systemd ends and starts it after ``WatchdogSec``.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Awaitable, Callable, MutableMapping

import trio

from trialogue import StorageError

#: Feedings in one interval of the watchdog: one may be late, or lost, without harm.
FEEDINGS = 3

_log = logging.getLogger("trialogue.serve")


class Notifier:
    """The service manager's ear. It takes its variables out of ``environment``: what we start is not to speak for us."""

    def __init__(self, environment: MutableMapping[str, str], pid: int) -> None:
        self._address = environment.pop("NOTIFY_SOCKET", "")
        microseconds = environment.pop("WATCHDOG_USEC", "")
        # Without a pid it is whoever took over from the process that the interval was given to.
        mine = environment.pop("WATCHDOG_PID", str(pid)) == str(pid)
        #: Seconds without a sign of life after which we are ended; 0 when nobody looks.
        self.watchdog: float = int(microseconds) / 1e6 if microseconds.isdecimal() and mine else 0.0

    def __repr__(self) -> str:
        return f"<Notifier {self._address or 'of nobody'} watchdog={self.watchdog:g}>"

    def ready(self, status: str) -> None:
        """We serve."""
        self._tell("READY=1", f"STATUS={status}")

    def stopping(self) -> None:
        """We were told to stop, and do."""
        self._tell("STOPPING=1", "STATUS=stopping: running answers end")

    def status(self, text: str) -> None:
        """What ``systemctl status`` shows."""
        self._tell(f"STATUS={text}")

    def succeeded_by(self, pid: int) -> None:
        """Another process of ours goes on as the service's main one."""
        self._tell(f"MAINPID={pid}")

    def environment(self) -> dict[str, str]:
        """The variables by which a process that takes over from us finds the same ear."""
        watchdog = {"WATCHDOG_USEC": f"{self.watchdog * 1e6:.0f}"} if self.watchdog else {}
        return {"NOTIFY_SOCKET": self._address, **watchdog} if self._address else {}

    async def keep_alive(self, check: Callable[[], Awaitable[object]]) -> None:
        """Feed the watchdog for as long as ``check`` answers. Returns at once when there is none."""
        while self.watchdog:
            pause = self.watchdog / FEEDINGS
            answered = False
            with trio.move_on_after(pause):
                try:
                    await check()
                except StorageError as error:
                    _log.debug("the store answers with an error: %s", error)
                answered = True
            if answered:
                self._tell("WATCHDOG=1")
                await trio.sleep(pause)
            else:
                _log.error("the store has not answered for %g s: the watchdog is not fed", pause)

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        # A leading @ stands for the null byte of an abstract name.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as ear:
                ear.setblocking(False)
                ear.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            _log.warning("the service manager cannot be told %s: %s", lines[0], os.strerror(error.errno or 0))
