"""In the place of systemd: hears what a service says of itself, and knows which of its processes is the main one."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path


class Manager:
    """An ear for ``NOTIFY_SOCKET``. Whoever starts the service tells it the first ``pid``."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        #: The main process.
        self.pid = 0
        #: Everything that was said.
        self.lines: list[str] = []
        # Heard already, but after what was waited for.
        self._unheard: list[str] = []
        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ear.bind(self.address)
        self._ear.setblocking(False)

    def hear(self) -> list[str]:
        """What was said since."""
        fresh, self._unheard = self._unheard, []
        known = len(fresh)
        with suppress(BlockingIOError):
            while True:
                fresh += self._ear.recv(65_536).decode().splitlines()
        for line in fresh[known:]:
            if line.startswith("MAINPID="):
                self.pid = int(line.removeprefix("MAINPID="))
        self.lines += fresh[known:]
        return fresh

    def wait_for(self, beginning: str, seconds: float = 30.0) -> str:
        """The next line that begins so. What came before it is passed over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            fresh = self.hear()
            for place, line in enumerate(fresh, 1):
                if line.startswith(beginning):
                    self._unheard = fresh[place:]
                    return line
            time.sleep(0.01)
        raise AssertionError(f"nothing was said that begins with {beginning!r}; heard so far: {self.lines}")

    def end(self, seconds: float = 20.0) -> None:
        """End the main process, whichever that is, and hear nothing more."""
        self.hear()
        self._ear.close()
        if self.pid <= 0:
            return  # Nothing was started; and to the kernel 0 is everybody around us.
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline and not _is_zombie(self.pid):
                time.sleep(0.02)
                os.kill(self.pid, 0)
            os.kill(self.pid, signal.SIGKILL)


def _is_zombie(pid: int) -> bool:
    # One of the caller's own children, which it has not asked for its end yet.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
