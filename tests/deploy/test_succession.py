"""One process takes the place of another: it says so, it takes everything along, and one that cannot changes nothing."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import termios
import time
from pathlib import Path

import httpx2
import pytest
from bench.manager import Manager
from deploy.service import Service, conversation_of, heard, serving, signed_in

from trialogue_server._process.notify import Notifier


def alive(client: httpx2.Client) -> bool:
    return client.get("/healthz").status_code == 200


def replaced(server: Service) -> None:
    """Have it replaced, and see that it was."""
    before = server.manager.pid
    server.signal(signal.SIGHUP)
    server.manager.wait_for("MAINPID=")
    assert server.manager.pid != before
    assert "version" in server.manager.wait_for("STATUS=version")
    assert server.wait(10) == 0  # It left as one that was told to.


def test_it_says_that_it_serves_and_who_comes_after_it(tmp_path: Path) -> None:
    with serving(tmp_path) as server, signed_in(server) as client:
        server.manager.wait_for("READY=1")
        name = client.post("/api/conversations", json={"title": "Kept"}).json()["id"]
        replaced(server)
        assert client.get(f"/api/conversations/{name}").json()["conversation"]["title"] == "Kept"
        os.kill(server.manager.pid, signal.SIGTERM)  # Orders go to the new one from now on.
        server.manager.wait_for("STOPPING=1")


def test_successor_has_a_successor(tmp_path: Path) -> None:
    with serving(tmp_path) as server, signed_in(server) as client:
        replaced(server)
        second = server.manager.pid
        os.kill(second, signal.SIGHUP)
        server.manager.wait_for("MAINPID=")
        assert server.manager.pid != second
        assert alive(client)


def test_connection_that_is_made_meanwhile_waits_and_is_answered(tmp_path: Path) -> None:
    with serving(tmp_path) as server, signed_in(server):
        server.signal(signal.SIGHUP)
        over = False
        while not over:
            over = any(line.startswith("MAINPID=") for line in server.manager.hear())
            with socket.create_connection(("127.0.0.1", server.port), 30) as made:
                made.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert made.recv(100).startswith(b"HTTP/1.1 200"), server.log()


def test_upload_that_is_under_way_is_waited_for(tmp_path: Path) -> None:
    with serving(tmp_path) as server, signed_in(server) as client:
        sent: list[float] = []

        def slowly() -> object:
            yield b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\n'
            server.signal(signal.SIGHUP)
            for _ in range(30):
                time.sleep(0.1)  # A slow line, not a wait for anything.
                sent.append(time.monotonic())
                yield b"hello\n"
            yield b"\r\n--x--\r\n"

        headers = {"content-type": "multipart/form-data; boundary=x"}
        answer = client.post("/api/upload", content=slowly(), headers=headers)  # type: ignore[arg-type]
        assert answer.status_code == 201, answer.text
        server.manager.wait_for("MAINPID=")
        assert client.get(f"/api/files/{answer.json()['files'][0]['id']}").text == "hello\n" * 30


def test_answer_longer_than_the_grace_goes_on_in_the_next_process(tmp_path: Path) -> None:
    with serving(tmp_path, shutdown_grace_seconds="1") as server, signed_in(server) as client:
        name = conversation_of(client, "[[tokens=100 rate=25 numbered]]")
        replaced(server)
        heard(client, name)
        answer = client.get(f"/api/conversations/{name}").json()["messages"][1]
        assert "".join(part["text"] for part in answer["parts"]) == "".join(f"{n} " for n in range(100))


def test_socket_of_the_service_manager_outlives_it(tmp_path: Path) -> None:
    """What connects while nobody serves waits for whoever serves next."""
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as held:
        for _ in range(2):
            with socket.create_connection(held.getsockname(), 30) as waiting:
                waiting.sendall(request)
                started = activated(held, tmp_path)
                try:
                    assert waiting.recv(100).startswith(b"HTTP/1.1 200")
                    started.terminate()
                    assert started.wait(20) == 0
                finally:
                    started.kill()
                    started.wait()


def activated(held: socket.socket, folder: Path) -> subprocess.Popen[bytes]:
    """A server that is handed a socket as systemd does it: as descriptor 3, by the process's own id."""
    command = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
    return subprocess.Popen(
        ["sh", "-c", command, "sh", sys.executable, "-m", "trialogue_server", "serve"],
        cwd=folder,
        env={**os.environ, "TRIALOGUE_DATA_DIR": str(folder / "data"), "TRIALOGUE_DEFAULT_MODEL": "echo:echo"},
        pass_fds=(3,),
        preexec_fn=lambda: os.dup2(held.fileno(), 3),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


# --- one that cannot ---------------------------------------------------------------------------------------------


def told(server: Service, words: str) -> None:
    """See that the log says so: it is written by another process, at some time."""
    deadline = time.monotonic() + 20
    while words not in server.log() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert words in server.log()


def test_wrong_settings_of_the_next_leave_everything_as_it_was(tmp_path: Path) -> None:
    with serving(tmp_path) as server, signed_in(server) as client:
        (tmp_path / "trialogue.toml").write_text("prot = 80\n")
        server.signal(signal.SIGHUP)
        told(server, "did you mean port?")
        server.manager.wait_for("STATUS=serving; the process that was to take over failed")
        assert alive(client)
        (tmp_path / "trialogue.toml").unlink()
        replaced(server)


def test_next_that_cannot_open_its_store_gives_the_place_back(tmp_path: Path) -> None:
    """As when a migration fails: by then the old process has closed everything, and opens it again."""
    with serving(tmp_path) as server, signed_in(server) as client:
        others = tmp_path / "others"
        others.mkdir()
        (others / "thesis.txt").write_text("mine")
        (tmp_path / "trialogue.toml").write_text(f'files_dir = "{others}"\n')
        name = client.post("/api/conversations", json={"title": "Kept"}).json()["id"]
        server.signal(signal.SIGHUP)
        told(server, "we go on")
        assert "thesis.txt" in server.log()
        assert client.get(f"/api/conversations/{name}").json()["conversation"]["title"] == "Kept"
        assert server.process is not None
        assert server.process.poll() is None


def test_order_to_stop_goes_before_a_succession(tmp_path: Path) -> None:
    with serving(tmp_path) as server, signed_in(server) as client:
        conversation_of(client, "[[rate=5 endless]]")
        server.signal(signal.SIGHUP)
        server.manager.wait_for("STATUS=waiting for a moment")
        server.signal(signal.SIGTERM)
        server.manager.wait_for("STOPPING=1")
        server.signal(signal.SIGTERM)
        assert server.wait(10) == 0
        assert not any(line.startswith("MAINPID=") for line in server.manager.lines)


def test_variable_is_not_for_people(tmp_path: Path) -> None:
    server = Service(tmp_path, manager := Manager(tmp_path / "notify"), {"TRIALOGUE_PREDECESSOR": "99"})
    try:
        with pytest.raises(AssertionError, match="unset it"):
            server.start()
    finally:
        manager.pid = server.process.pid if server.process else 0
        server.close()


def test_closed_terminal_ends_what_was_started_in_it(tmp_path: Path) -> None:
    inside, outside = os.openpty()
    with open(outside, "r+b", buffering=0) as terminal:
        started = subprocess.Popen(
            [sys.executable, "-m", "trialogue_server", "serve", "--port", "0"],
            cwd=tmp_path,
            env={**os.environ, "TRIALOGUE_DATA_DIR": str(tmp_path / "data"), "TRIALOGUE_DEFAULT_MODEL": "echo:echo"},
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
    try:
        assert started.stdout is not None
        assert b"Trialogue is at" in started.stdout.readline()
        os.close(inside)
        assert started.wait(20) == 0
    finally:
        started.kill()
        started.communicate()


# --- signs of life -----------------------------------------------------------------------------------------------


def test_watchdog_is_fed_and_the_successor_feeds_it_too(tmp_path: Path) -> None:
    with serving(tmp_path, {"WATCHDOG_USEC": "6000000"}) as server:
        server.manager.wait_for("WATCHDOG=1")
        replaced(server)
        server.manager.wait_for("WATCHDOG=1")


def test_nobody_is_told_anything_without_a_service_manager() -> None:
    environment = {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}
    notifier = Notifier(environment, os.getpid())
    notifier.ready("")
    assert notifier.watchdog == 0  # It is another process's.
    assert environment == {}
    assert notifier.environment() == {}


async def test_store_that_hangs_is_no_sign_of_life(tmp_path: Path, autojump_clock: object) -> None:
    import trio

    from trialogue import StorageError

    manager = Manager(tmp_path / "notify")
    notifier = Notifier({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "90000"}, os.getpid())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(notifier.keep_alive, trio.sleep_forever)
        await trio.sleep(0.2)
        assert manager.hear() == []
        nursery.cancel_scope.cancel()

    async def refuses() -> None:
        raise StorageError("the disk is full")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(notifier.keep_alive, refuses)
        await trio.sleep(0.2)
        assert "WATCHDOG=1" in manager.hear()
        nursery.cancel_scope.cancel()
    manager.end()
