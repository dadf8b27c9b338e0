"""The two servers that are compared, each on its processor and pointed at the stub, and how a stream of each is planned."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

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

    def __init__(self, folder: Path, environment: Mapping[str, str], cpu: int = SERVER_CPU) -> None:
        self.folder = folder
        self.port = free_port()
        self.cpu = cpu
        self.log = folder / "server.log"
        self.environment = {
            "TRIALOGUE_PORT": str(self.port),
            "TRIALOGUE_DATA_DIR": str(folder / "data"),
            "TRIALOGUE_STREAMS_PER_USER": "100000",
            "TRIALOGUE_LOG_LEVEL": "warning",
            "OPENAI_API_KEY": "bench",
            **environment,
        }
        self.process: Process | None = None

    def start(self) -> Process:
        """Start it, and return when it is ready."""
        command = [sys.executable, "-m", "trialogue_server.cli", "serve"]
        script = Path(sys.executable).parent / "trialogue"
        if script.exists():
            command = [str(script), "serve"]
        self.process = start(command, cpu=self.cpu, log=self.log, env=os.environ | self.environment)
        wait_for_port(self.process, self.port)
        self.client().wait_until_ready()
        return self.process

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
def open_trialogue(stub: Stub, environment: Mapping[str, str] | None = None) -> Generator[Trialogue]:
    """Trialogue on a fresh data folder, as it runs by default, with the stub as its OpenAI."""
    with TemporaryDirectory(prefix="trialogue-bench-") as folder:
        server = Trialogue(Path(folder), {"OPENAI_BASE_URL": stub.url, **(environment or {})})
        try:
            server.start()
            yield server
        finally:
            if server.process is not None:
                server.process.stop()
