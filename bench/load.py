"""The stub upstream and the load client: two small C programs, on the processor that the server does not have."""

from __future__ import annotations

import json
import subprocess
import tempfile
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.plan import Stream
from bench.processes import LOAD_CPU, free_port, running, spawn, wait_for_port

BUILD = Path(__file__).parent / ".build"

#: What the load client prints: counts, and for each delay its n, mean, p50, p90, p99, p999 and max in milliseconds.
Report = dict[str, Any]


@dataclass(frozen=True)
class Stub:
    """A running stand-in for a provider."""

    port: int

    @property
    def url(self) -> str:
        """Base URL for an OpenAI client."""
        return f"http://127.0.0.1:{self.port}/v1"

    def tokens(self) -> int:
        """Tokens it has sent so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/stats", timeout=10) as answer:
            return int(json.load(answer)["tokens"])


@contextmanager
def open_stub(life: int = 3600) -> Generator[Stub]:
    """A stub for the length of a block; it ends by itself after ``life`` seconds."""
    port = free_port()
    with running([BUILD / "stub", "--port", str(port), "--life", str(life)], cpu=LOAD_CPU) as process:
        wait_for_port(process, port)
        yield Stub(port)


@contextmanager
def open_load(
    streams: Sequence[Stream], tokens: int, *, ramp: float = 1.0, max_time: float = 120.0, hold: float = 0
) -> Generator[subprocess.Popen[bytes]]:
    """The load client at work, for ``report`` or ``poll``. ``ramp`` spreads the first requests over so many seconds.

    With ``hold`` it only opens the event streams, and keeps them for so many seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder, "plan.bin")
        plan.write_bytes(b"".join(stream.encode() for stream in streams))
        words = [str(BUILD / "loadc"), "--plan", str(plan), "--tokens", str(tokens)]
        words += ["--ramp", str(ramp), "--timeout", str(max_time), "--max-time", str(max_time), "--hold", str(hold)]
        process = spawn(words, LOAD_CPU, stdout=subprocess.PIPE)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def report(process: subprocess.Popen[bytes]) -> Report:
    """Wait for the load client and read its report. Raises when a stream failed or fell short."""
    output, _ = process.communicate(timeout=600)
    found: Report = json.loads(output)
    if found["errors"] or found["turns_short"] or found["unfinished"]:
        raise RuntimeError(f"the load client failed: {json.dumps(found)[:600]}")
    return found


def run_load(streams: Sequence[Stream], tokens: int, *, ramp: float = 1.0, max_time: float = 120.0) -> Report:
    """Run a plan to its end."""
    with open_load(streams, tokens, ramp=ramp, max_time=max_time) as process:
        return report(process)
