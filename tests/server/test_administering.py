"""Accounts from the command line: in the storage while nobody serves, else by the server, where what ends, ends at once."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio
from rest import open_stream
from served import Server
from talking import make

from trialogue_server import cli

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

            error = await trio.to_thread.run_sync(refused, capsys, "users", "list")
            assert "a server has this data open" in error
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
            assert [one["email"] for one in await ask("users", "list", "bob")] == ["bob@example.org"]
            assert (await ask("users", "reset", "bob@example.org"))["token"].startswith("tl_reset_")
            assert (await ask("invite"))["token"].startswith("tl_invite_")
            (shown,) = (await ask("keys", "list", "root@example.org"))["keys"]
            await ask("users", "delete", "bob@example.org")
            await ask("keys", "revoke", shown["id"])
            error = await trio.to_thread.run_sync(refused, capsys, "users", "list", *by)
            assert "answers 401" in error
            assert key["token"] not in error


async def _register(client: httpx2.AsyncClient, name: str) -> None:
    body = {"email": f"{name}@example.org", "password": PASSWORD, "name": name}
    assert (await client.post("/api/auth/register", json=body)).status_code == 201


async def _login(client: httpx2.AsyncClient, name: str) -> None:
    body = {"email": f"{name}@example.org", "password": PASSWORD}
    assert (await client.post("/api/auth/login", json=body)).status_code == 200
