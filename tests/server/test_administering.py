"""Accounts from the command line: in the storage while nobody serves, else by the server, where what ends, ends at once."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio
from rest import open_stream
from served import Server
from talking import make

from trialogue import Pruned, new_id
from trialogue.testing import MemoryStore
from trialogue_server import cli
from trialogue_server._administering.desk import open_desk
from trialogue_server._administering.direct import Direct
from trialogue_server._administering.local import find_local
from trialogue_server.api._account_bodies import Me

Capture = pytest.CaptureFixture[str]
PASSWORD = "correct horse"


@contextmanager
def serving(folder: Path) -> Generator[Server]:
    server = Server(folder)
    try:
        server.start()
        yield server
    finally:
        server.close()


def client_of(server: Server) -> httpx2.AsyncClient:
    headers = {"Origin": server.url}
    return httpx2.AsyncClient(base_url=server.url, timeout=10, trust_env=False, headers=headers)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(capsys: Capture, *arguments: str) -> Any:
    """What a command says as JSON, when all is well."""
    assert cli.main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: Capture, *arguments: str) -> str:
    assert cli.main([*arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_first_account_is_administrator_and_the_last_one_stays(capsys: Capture) -> None:
    made = told(capsys, "users", "create", "Ada@Example.org", "--name", "Ada")
    assert (made["user"]["role"], made["user"]["email"]) == ("admin", "ada@example.org")
    assert "last administrator" in refused(capsys, "users", "disable", "ada@example.org")
    assert told(capsys, "users", "create", "bob@example.org")["user"]["role"] == "user"
    assert told(capsys, "users", "role", "bob@example.org", "admin")["role"] == "admin"
    assert told(capsys, "users", "disable", "ada@example.org")["disabled"]
    assert not told(capsys, "users", "enable", made["user"]["id"])["disabled"]
    told(capsys, "users", "delete", "ada@example.org")
    assert [user["email"] for user in told(capsys, "users", "list")] == ["bob@example.org"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["users", "create", "no address"], "is not an e-mail address"),
        (["users", "reset", "nobody@example.org"], "there is no account"),
        (["keys", "list", "nobody@example.org"], "there is no account"),
        (["keys", "revoke", "nothing"], "there is no API key"),
        (["invite", "--days", "0"], "--days cannot be 0"),
        (["invite"], "there is no administrator yet"),
        (["users", "list", "--server", "http://127.0.0.1:9"], "--token-file"),
        (["users", "list", "--server", "http://127.0.0.1:9", "--token-file", "none"], "cannot be read"),
    ],
)
def test_mistake_is_told_in_one_line(arguments: list[str], words: str, capsys: Capture) -> None:
    assert words in refused(capsys, *arguments)


async def test_what_was_offered_holds_when_it_serves(folder: Path, capsys: Capture) -> None:
    """A password is set with a reset, and an account is made by an invitation."""

    def prepare() -> tuple[str, str]:
        reset = told(capsys, "users", "create", "ada@example.org")["reset"]["token"]
        return reset, told(capsys, "invite", "--email", "bob@example.org", "--role", "admin")["token"]

    reset, invitation = await trio.to_thread.run_sync(prepare)
    with serving(folder) as server:
        async with client_of(server) as client:
            answer = await client.post("/api/auth/reset", json={"token": reset, "password": PASSWORD})
            assert answer.status_code in (200, 204), answer.text
            body = {"email": "ada@example.org", "password": PASSWORD}
            assert (await client.post("/api/auth/login", json=body)).status_code == 200
        async with client_of(server) as client:
            body = {"email": "bob@example.org", "password": PASSWORD, "invitation": invitation}
            answer = await client.post("/api/auth/register", json=body)
            assert (answer.status_code, answer.json()["role"]) == (201, "admin"), answer.text


async def test_server_does_it_and_streams_end(folder: Path, capsys: Capture) -> None:
    with serving(folder) as server:
        async with client_of(server) as root, client_of(server) as bob:
            await _register(root, "root")
            await _register(bob, "bob")
            key = (await root.post("/api/auth/keys", json={"name": "cli", "scopes": ["admin"]})).json()
            (folder / "key").write_text(key["token"] + "\n")
            by = ("--server", server.url, "--token-file", "key")

            async def ask(*arguments: str) -> Any:
                return await trio.to_thread.run_sync(lambda: told(capsys, *arguments, *by))

            async with open_stream(bob, f"{await make(bob)}/events") as stream:
                assert (await stream.event()) is not None
                assert (await ask("users", "disable", "bob@example.org"))["disabled"]
                with trio.fail_after(5):
                    while await stream.event() is not None:
                        pass
            assert (await bob.get("/api/auth/me")).status_code == 401
            await ask("users", "enable", "bob@example.org")
            await _login(bob, "bob")
            await ask("users", "sign-out", "bob@example.org")
            assert (await bob.get("/api/auth/me")).status_code == 401
            nobody = await trio.to_thread.run_sync(refused, capsys, "users", "sign-out", new_id(), *by)
            assert "there is no account" in nobody
            assert [one["email"] for one in await ask("users", "list", "bob")] == ["bob@example.org"]
            assert (await ask("users", "reset", "bob@example.org"))["token"].startswith("tl_reset_")
            assert (await ask("invite"))["token"].startswith("tl_invite_")
            (shown,) = (await ask("keys", "list", "root@example.org"))["keys"]
            await ask("users", "delete", "bob@example.org")
            await ask("keys", "revoke", shown["id"])
            error = await trio.to_thread.run_sync(refused, capsys, "users", "list", *by)
            assert "answers 401" in error
            assert key["token"] not in error


async def test_server_is_asked_in_its_data_folder_and_streams_end(folder: Path, capsys: Capture) -> None:
    """Without a port and without a key."""

    async def ask(*arguments: str) -> Any:
        return await trio.to_thread.run_sync(lambda: told(capsys, *arguments))

    with serving(folder) as server:
        assert ((folder / "data/admin.sock").stat().st_mode & 0o777) == 0o600
        assert (await ask("users", "create", "root@example.org"))["user"]["role"] == "admin"
        invitation = (await ask("invite", "--email", "bob@example.org"))["token"]
        async with client_of(server) as bob:
            body = {"email": "bob@example.org", "password": PASSWORD, "invitation": invitation}
            assert (await bob.post("/api/auth/register", json=body)).status_code == 201
            key = (await bob.post("/api/auth/keys", json={"name": "cli", "scopes": ["read"]})).json()
            with_key = {"Authorization": f"Bearer {key['token']}"}
            assert (await bob.get("/api/auth/me", headers=with_key)).status_code == 200
            (shown,) = (await ask("keys", "list", "bob@example.org"))["keys"]
            await ask("keys", "revoke", shown["id"])
            assert (await bob.get("/api/auth/me", headers=with_key)).status_code == 401
            for ending in (("users", "sign-out"), ("users", "disable"), ("users", "delete")):
                async with open_stream(bob, f"{await make(bob)}/events") as stream:
                    assert (await stream.event()) is not None
                    await ask(*ending, "bob@example.org")
                    with trio.fail_after(5):
                        while await stream.event() is not None:
                            pass
                assert (await bob.get("/api/auth/me")).status_code == 401
                if ending != ("users", "delete"):
                    await ask("users", "enable", "bob@example.org")
                    await _login(bob, "bob")
        assert [user["email"] for user in await ask("users", "list")] == ["root@example.org"]
        error = await trio.to_thread.run_sync(refused, capsys, "users", "disable", "root@example.org")
        assert "last administrator" in error
        error = await trio.to_thread.run_sync(refused, capsys, "users", "reset", "nobody@example.org")
        assert "there is no account" in error


def test_whatever_is_said_at_the_socket_the_server_goes_on(folder: Path, capsys: Capture) -> None:
    with serving(folder):
        for said, words in (
            (b"", b"does not know"),
            (b"\xff\xfe\n", b"does not know"),
            (b'{"type":"burn"}\n', b"does not know"),
            (b'{"type":"keys","user":"' + b"x" * 100_000, b"does not know"),
            (b'{"type":"keys","user":"\\u0000"}\n', b"there is no account"),
        ):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect("data/admin.sock")
                with suppress(BrokenPipeError):
                    peer.sendall(said)
                    peer.shutdown(socket.SHUT_WR)
                answer = b""
                with suppress(ConnectionResetError):
                    while piece := peer.recv(65_536):
                        answer += piece
                assert words in answer or len(said) > 65_536, answer
        assert told(capsys, "users", "list") == []


def test_socket_of_a_server_that_was_killed_is_in_nobody_s_way(folder: Path, capsys: Capture) -> None:
    server = Server(folder)
    try:
        server.start()
        server.kill()
        assert (folder / "data/admin.sock").exists()
        assert told(capsys, "users", "list") == []
        server.start()
        assert told(capsys, "users", "create", "ada@example.org")["user"]["role"] == "admin"
    finally:
        server.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_nobody_else_is_answered(folder: Path) -> None:
    program = """\
import os, socket
os.setuid(65534)
peer = socket.socket(socket.AF_UNIX)
peer.connect("admin.sock")
try:
    peer.sendall(b"{}\\n")
    print(peer.recv(99))
except ConnectionError:
    print("hung up")
"""
    with serving(folder):
        # The folder would keep them out anyhow.
        for path, mode in ((folder / "data", 0o755), (folder / "data/admin.sock", 0o666)):
            path.chmod(mode)
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, cwd=folder / "data", capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout in ("b''\n", "hung up\n"), done.stdout + done.stderr


async def _nothing_to_prune() -> Pruned:
    await trio.lowlevel.checkpoint()
    return Pruned()


async def test_it_answers_however_deep_its_folder_lies(tmp_path: Path) -> None:
    class Nothing(Direct):
        async def users(self, text: str | None) -> Sequence[Me]:
            await trio.lowlevel.checkpoint()
            return ()

    folder = tmp_path / ("deep" * 30)
    folder.mkdir()
    async with open_desk(Nothing(MemoryStore()), _nothing_to_prune, folder / "admin.sock"):
        local = await trio.to_thread.run_sync(find_local, folder)
        assert local is not None
        assert await local.users(None) == ()
    assert await trio.to_thread.run_sync(find_local, folder) is None


async def _register(client: httpx2.AsyncClient, name: str) -> None:
    body = {"email": f"{name}@example.org", "password": PASSWORD, "name": name}
    assert (await client.post("/api/auth/register", json=body)).status_code == 201


async def _login(client: httpx2.AsyncClient, name: str) -> None:
    body = {"email": f"{name}@example.org", "password": PASSWORD}
    assert (await client.post("/api/auth/login", json=body)).status_code == 200
