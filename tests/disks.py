"""A disk whose calls fail as planned, as a share of another machine's does."""

from __future__ import annotations

import errno
import threading
from collections import defaultdict, deque
from pathlib import Path

from trialogue._files.disk import Disk


class FaultyDisk(Disk):
    """``plan("write", errno.EIO, 0)``: the next write fails, the one after does not. ``hang("write")``: it does not end."""

    def __init__(self) -> None:
        self._planned: defaultdict[str, deque[int]] = defaultdict(deque)
        self._hanging: dict[str, threading.Event] = {}
        #: Bytes that a write or a read takes at most; all of them when it is 0.
        self.shortest = 0
        self.calls: list[str] = []

    def plan(self, call: str, *errors: int) -> None:
        self._planned[call].extend(errors)

    def hang(self, call: str) -> threading.Event:
        """Have that call not end before the event, as on a share whose server is gone."""
        self._hanging[call] = back = threading.Event()
        return back

    def _meet(self, call: str) -> None:
        self.calls.append(call)
        if call in self._hanging:
            assert self._hanging[call].wait(60), f"nobody ended the {call} that hangs"
        planned = self._planned[call]
        if planned and (number := planned.popleft()):
            raise OSError(number, errno.errorcode[number])

    def open(self, path: Path, flags: int) -> int:
        self._meet("open")
        return super().open(path, flags)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        self._meet("write")
        return super().write(descriptor, data[: self.shortest or len(data)])

    def pread(self, descriptor: int, size: int, offset: int) -> bytes:
        self._meet("pread")
        return super().pread(descriptor, min(size, self.shortest or size), offset)

    def fsync(self, descriptor: int) -> None:
        self._meet("fsync")
        super().fsync(descriptor)

    def close(self, descriptor: int) -> None:
        super().close(descriptor)
        self._meet("close")

    def replace(self, source: Path, target: Path) -> None:
        self._meet("replace")
        super().replace(source, target)

    def unlink(self, path: Path) -> None:
        self._meet("unlink")
        super().unlink(path)
