"""Processes of a benchmark: started on one processor, measured by what the kernel charges them, ended by their id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")

#: The server under test has one processor, and whatever drives it the other.
SERVER_CPU = 0
LOAD_CPU = 1 if (os.cpu_count() or 1) > 1 else 0


class Process:
    """A running program. ``kill`` and ``stop`` are the only ways it ends; both wait."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path | None) -> None:
        self.popen = popen
        self.pid = popen.pid
        self.log = log

    def cpu_seconds(self) -> float:
        """CPU time of the process, all its threads, and its children, living and dead; to 10 ms."""
        return _cpu(self.pid)

    def rss_bytes(self) -> int:
        """Resident memory, now."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.popen.poll() is None

    def stop(self, grace: float = 15.0) -> int:
        """Ask it to end, and end it when it does not. Returns its exit code."""
        if self.alive:
            self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(grace)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """End it without asking."""
        self.popen.kill()
        return self.popen.wait(30)

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:] if self.log and self.log.exists() else ""


def start(
    command: Sequence[str | Path], *, cpu: int, log: Path | None = None, env: Mapping[str, str] | None = None
) -> Process:
    """Start a program on one processor; what it prints goes to ``log``."""
    words = [*map(str, command)]
    if log is None:
        return Process(spawn(words, cpu, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env), None)
    with log.open("ab") as file:
        return Process(spawn(words, cpu, stdout=file, stderr=subprocess.STDOUT, env=env), log)


def spawn(words: Sequence[str], cpu: int, **options: Any) -> subprocess.Popen[bytes]:
    """Start a program bound to a processor and, where we may, put before everyone else who wants it."""
    popen = subprocess.Popen(["taskset", "-c", str(cpu), *words], start_new_session=True, **options)
    # A session of its own is a group of its own for the scheduler, which weighs groups and not single processes.
    put_first(popen.pid)
    return popen


def put_first(pid: int | str) -> None:
    """Put the session of this process before everyone else who wants a processor, where we may."""
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text("-20")


@contextmanager
def running(
    command: Sequence[str | Path], *, cpu: int, log: Path | None = None, env: Mapping[str, str] | None = None
) -> Generator[Process]:
    """A program for the length of a block."""
    process = start(command, cpu=cpu, log=log, env=env)
    try:
        yield process
    finally:
        process.stop()


def free_port() -> int:
    """A port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(process: Process, port: int, seconds: float = 30.0) -> None:
    """Return when ``port`` takes connections; fail when the process ends or takes too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.alive:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise RuntimeError(f"{process.popen.args!r} did not open port {port}: {process.said()}")


def busy_seconds(cpu: int = SERVER_CPU) -> float:
    """CPU time that one processor has given to anyone since the machine started."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *counts = line.split()
        if name == f"cpu{cpu}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, counts[:8])
            return (user + nice + system + irq + softirq + steal) / _TICK
    raise RuntimeError(f"the kernel knows no processor {cpu}")


def cpu_by_process(pid: int) -> dict[int, float]:
    """CPU time of a process and of each one below it that is there now, their ended children left out; to 10 ms."""
    found = {pid: 0.0}
    with suppress(FileNotFoundError):  # It has just ended.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        found[pid] = (int(fields[11]) + int(fields[12])) / _TICK
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found |= cpu_by_process(int(child))
    return found


def _cpu(pid: int) -> float:
    # Fields counted after the name, which may hold blanks: utime, stime, cutime, cstime are 12 to 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = sum(int(field) for field in fields[11:15]) / _TICK
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return own + sum(_cpu(int(child)) for child in (children.read_text().split() if children.exists() else ()))
