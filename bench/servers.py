"""The two servers that are compared, each on its processor and pointed at the stub, and how a stream of each is planned."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.client import Account, Client
from bench.load import Stub
from bench.plan import Stream, request
from bench.processes import SERVER_CPU, Process, free_port, running, start, wait_for_port

HERE = Path(__file__).parent
MODEL = "openai:stub"


@dataclass(frozen=True)
class Reference:
    """The pass-through, up."""

    port: int
    process: Process

    def stream(self, words: str) -> Stream:
        """One request whose answer is streamed."""
        body = {
            "model": "stub",
            "stream": True,
            "stream_options": {"include_usage": True},
            "messages": [{"role": "user", "content": words}],
        }
        return Stream("h", self.port, (request("POST", "/chat", body),))


@contextmanager
def open_reference(stub: Stub) -> Generator[Reference]:
    """The pass-through on uvicorn with uvloop and httptools, one process."""
    port = free_port()
    command: list[str | Path] = [HERE / ".venv/bin/python", "-m", "uvicorn", "bench.reference:app", "--port", str(port)]
    command += ["--loop", "uvloop", "--http", "httptools", "--log-level", "warning", "--no-access-log"]
    env = os.environ | {"OPENAI_BASE_URL": stub.url, "PYTHONPATH": str(HERE.parent)}
    with TemporaryDirectory() as folder, running(command, cpu=SERVER_CPU, log=Path(folder, "log"), env=env) as process:
        wait_for_port(process, port)
        yield Reference(port, process)


class Trialogue:
    """A ``trialogue serve`` over one data folder; it can be killed and started again on the same port."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        cpu: int = SERVER_CPU,
        *,
        probed: bool = False,
        module: str | None = None,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.cpu = cpu
        #: What is run: with a probe inside that ``figures`` reads, or one of the benchmarks' own stand-ins.
        self.module = [module] if module else ["bench.probed"] if probed else ["trialogue_server", "serve"]
        self.probe = folder / "probe.json"
        self.log = folder / "server.log"
        self.environment = {
            "TRIALOGUE_PORT": str(self.port),
            "TRIALOGUE_DATA_DIR": str(folder / "data"),
            "TRIALOGUE_STREAMS_PER_USER": "100000",
            "TRIALOGUE_CONNECTIONS_PER_ADDRESS": "0",
            # Counted as ever, and never enough.
            "TRIALOGUE_RATE_PER_USER": "1000000",
            "TRIALOGUE_BURST_PER_USER": "1000000",
            "TRIALOGUE_LOG_LEVEL": "warning",
            "OPENAI_API_KEY": "bench",
            # Vectors are made behind everything else, for time that would be counted as that of what is measured.
            "TRIALOGUE_EMBEDDER": "none",
            "BENCH_PROBE": str(self.probe),
            **environment,
        }
        self.process: Process | None = None

    def start(self) -> Process:
        """Start it, and return when it is ready."""
        command = [sys.executable, "-m", *self.module]
        self.process = start(command, cpu=self.cpu, log=self.log, env=os.environ | self.environment)
        wait_for_port(self.process, self.port)
        self.client().wait_until_ready()
        return self.process

    def figures(self) -> dict[str, Any]:
        """What the probe of a probed server says now."""
        assert self.process is not None
        self.probe.unlink(missing_ok=True)
        os.kill(self.process.pid, signal.SIGUSR2)
        return self.last_figures()

    def last_figures(self) -> dict[str, Any]:
        """What the probe wrote, once it is there."""
        deadline = time.monotonic() + 30
        while not self.probe.exists():
            if time.monotonic() > deadline:
                raise RuntimeError("the probe says nothing")
            time.sleep(0.01)
        found: dict[str, Any] = json.loads(self.probe.read_text())
        self.probe.unlink()  # What is read next was written after this.
        return found

    def client(self) -> Client:
        """A client that is not logged in."""
        return Client(self.port)

    def stream(self, account: Account, conversation: str, *words: str) -> Stream:
        """An event stream of a conversation, and a message for each turn."""
        cookie = {"Cookie": account.cookie}
        path = f"/api/conversations/{conversation}"
        posts = (request("POST", f"{path}/messages", {"text": text, "model": MODEL}, cookie) for text in words)
        opening = request("GET", f"{path}/events", None, cookie | {"Accept": "text/event-stream"})
        return Stream("s", self.port, tuple(posts), opening, b"event: run.completed\n")


@contextmanager
def open_trialogue(
    stub: Stub, environment: Mapping[str, str] | None = None, *, probed: bool = False, module: str | None = None
) -> Generator[Trialogue]:
    """Trialogue on a fresh data folder, as it runs by default, with the stub as its OpenAI."""
    with TemporaryDirectory(prefix="trialogue-bench-") as folder:
        settings = {"OPENAI_BASE_URL": stub.url, **(environment or {})}
        server = Trialogue(Path(folder), settings, probed=probed, module=module)
        try:
            server.start()
            yield server
        finally:
            if server.process is not None:
                server.process.stop()
