"""The process: it says where it is, ends when told to, and says in a line what the operator has to mend."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import trio
from served import Server
from sockets import Closed, cookies_of, open_socket

from trialogue import new_id


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, shutdown_grace_seconds="20")
    try:
        server.start()
        yield server
    finally:
        server.close()


@contextmanager
def signed_in(server: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, timeout=15, trust_env=False) as client:
        body = {"email": "ada@example.org", "password": "correct horse", "name": "Ada"}
        assert client.post("/api/auth/register", json=body).status_code == 201
        yield client


def asked(client: httpx2.Client, text: str) -> Iterator[str]:
    """The stream of an answer, line by line."""
    conversation = client.post("/api/conversations", json={}).json()["id"]
    headers = {"accept": "text/event-stream"}
    body = {"text": text, "id": new_id()}
    with client.stream("POST", f"/api/conversations/{conversation}/messages", json=body, headers=headers) as answer:
        assert answer.status_code == 200
        yield from answer.iter_lines()


def until(lines: Iterator[str], event: str) -> None:
    for line in lines:
        if line == f"event: {event}":
            return
    raise AssertionError(f"the stream ended without {event}")


def test_told_to_stop_it_finishes_what_is_being_said(server: Server) -> None:
    with signed_in(server) as client:
        lines = asked(client, "[[rate=40 tokens=40]]")
        until(lines, "part.delta")
        server.signal(signal.SIGTERM)
        until(lines, "run.completed")
        assert list(lines)[-1] == ""  # It ends as a stream does, not as a broken one.
    assert server.wait(10) == 0


def test_told_twice_it_stops_at_once(server: Server) -> None:
    with signed_in(server) as client:
        lines = asked(client, "[[rate=5 endless]]")
        until(lines, "part.delta")
        server.signal(signal.SIGTERM)
        assert client.get("/readyz").status_code == 503
        server.signal(signal.SIGTERM)
        assert server.wait(5) == 0


def test_idle_it_stops_at_once(server: Server) -> None:
    server.signal(signal.SIGINT)
    assert server.wait(5) == 0


def test_what_is_alive_is_printed_on_demand(server: Server) -> None:
    with signed_in(server) as client:
        lines = asked(client, "[[rate=20 endless]]")
        until(lines, "part.delta")
        server.signal(signal.SIGUSR1)
        until(lines, "part.delta")
    assert "flusher [up]" in server.log()
    assert "<Run " in server.log()


def test_answer_goes_on_after_a_stop_that_could_not_wait(server: Server) -> None:
    with signed_in(server) as client:
        lines = asked(client, "[[rate=20 tokens=60]]")
        until(lines, "part.delta")
        server.signal(signal.SIGTERM)
        assert client.get("/readyz").status_code == 503
        server.signal(signal.SIGTERM)
        assert server.wait(10) == 0
        server.start()
        (conversation,) = client.get(f"{server.url}/api/conversations").json()["conversations"]
        url = f"{server.url}/api/conversations/{conversation['id']}/events"
        with client.stream("GET", url) as answer:
            until(answer.iter_lines(), "run.completed")
        shown = client.get(f"{server.url}/api/conversations/{conversation['id']}").json()
        assert len(shown["messages"][1]["parts"]) >= 1
        assert shown["run"] is None


def refused(folder: Path, **settings: str) -> str:
    """What a server says that will not start."""
    environment = {**os.environ, "TRIALOGUE_DATA_DIR": str(folder / "data"), "TRIALOGUE_PORT": "0"}
    environment |= {f"TRIALOGUE_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "trialogue_server", "serve"]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=30, check=False)
    assert ended.returncode == 2, ended.stderr
    said = ended.stderr.decode()
    assert "Traceback" not in said
    return said


def test_port_in_use_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert port in (said := refused(tmp_path, port=port))
        assert "choose another port" in said


def test_second_process_on_the_same_data_is_refused(server: Server, tmp_path: Path) -> None:
    assert "process" in refused(tmp_path)


def test_data_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("mine")
    assert "data" in refused(tmp_path)
    assert (tmp_path / "data" / "thesis.txt").read_text() == "mine"


def test_corrupt_database_is_said(server: Server, tmp_path: Path) -> None:
    server.signal(signal.SIGTERM)
    server.wait(10)
    database = tmp_path / "data" / "trialogue.db"
    database.write_bytes(b"not a database at all" * 1000)
    assert "backup" in refused(tmp_path)


def test_storage_nobody_opens_is_said(tmp_path: Path) -> None:
    assert "mysql" in refused(tmp_path, storage_url="mysql://user:secret@host/db")


def test_hypercorn_alone_serves_the_same(tmp_path: Path) -> None:
    class Bare(Server):
        def command(self) -> list[str]:
            return [
                sys.executable, "-m", "hypercorn", "-k", "trio", "trialogue_server.asgi:app",
                "-b", f"127.0.0.1:{self.port}", "--error-logfile", "-",
            ]  # fmt: skip

    server = Bare(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        server.port = probe.getsockname()[1]
    try:
        server.process = subprocess.Popen(
            server.command(),
            cwd=tmp_path,
            env={**os.environ, "TRIALOGUE_DATA_DIR": str(tmp_path / "data"), "TRIALOGUE_DEFAULT_MODEL": "echo:echo"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert server.process.stderr is not None
        for line in server.process.stderr:
            if b"Running on" in line:
                break
        with signed_in(server) as client:
            until(asked(client, "[[rate=200 tokens=20]]"), "run.completed")
        server.signal(signal.SIGTERM)
        assert server.process.communicate(timeout=30)[1] is not None
        assert server.process.returncode == 0
    finally:
        server.close()


def test_told_to_stop_it_says_goodbye_on_its_websockets(server: Server) -> None:
    """With what was committed last, a hint when to come back, and a code; then nothing holds the process."""
    with signed_in(server) as client:
        name = client.post("/api/conversations", json={}).json()["id"]

        async def follow() -> tuple[list[str], int]:
            kinds: list[str] = []
            async with open_socket(server.port, Cookie=cookies_of(client)) as socket:
                await socket.greet()
                await socket.say(type="subscribe", id="1", conversation=name)
                await socket.hear_until("snapshot")
                body = {"text": "[[rate=40 tokens=20]]"}
                await socket.say(type="command", id="2", command="post", conversation=name, body=body)
                await socket.hear_until("part.delta")
                server.signal(signal.SIGTERM)
                try:
                    while True:
                        message = await socket.hear()
                        kinds.append(message.get("event", message["type"]))
                except Closed as closed:
                    return kinds, closed.code

        kinds, code = trio.run(follow)
    assert kinds[-2:] == ["run.completed", "reconnect"]
    assert code == 1001
    assert server.wait(10) == 0
