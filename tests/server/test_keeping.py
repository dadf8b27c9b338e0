"""``trialogue db`` with a real server: what it saves while that works, and what comes of it when something goes wrong."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio
from rest import read_events
from served import Server
from talking import make, note, talked, texts

from trialogue_server import cli
from trialogue_server._keeping import pool, rows

Capture = pytest.CaptureFixture[str]
PASSWORD = "correct horse"


@contextmanager
def serving(folder: Path, **settings: str) -> Generator[Server]:
    folder.mkdir(exist_ok=True)
    server = Server(folder, **settings)
    try:
        server.start()
        yield server
    finally:
        server.close()


def client_of(server: Server, cookies: dict[str, str] | None = None) -> httpx2.AsyncClient:
    headers = {"Origin": server.url}
    return httpx2.AsyncClient(base_url=server.url, timeout=10, trust_env=False, cookies=cookies, headers=headers)


async def register(client: httpx2.AsyncClient) -> None:
    body = {"email": "ada@example.org", "password": PASSWORD, "name": "Ada"}
    assert (await client.post("/api/auth/register", json=body)).status_code == 201


def db(*arguments: str | Path, data: Path) -> Any:
    """What the command says, as a process of its own beside the server."""
    command = [sys.executable, "-m", "trialogue_server", "db", *map(str, arguments), "--json", "--data-dir", str(data)]
    ran = subprocess.run(command, capture_output=True, check=False, cwd=data.parent, timeout=60)
    assert ran.returncode == 0, ran.stderr.decode()
    return json.loads(ran.stdout)


async def in_thread(*arguments: str | Path, data: Path) -> Any:
    return await trio.to_thread.run_sync(lambda: db(*arguments, data=data))


async def test_backup_under_load_comes_back_elsewhere(tmp_path: Path) -> None:
    """Texts and files are the same, people are still logged in, and a cursor from before is told to begin anew."""
    place = tmp_path / "backups"
    with serving(tmp_path / "one") as server:
        async with client_of(server) as client:
            await register(client)
            url = await make(client)
            await talked(client, url, "What does an owl eat?")
            upload = await client.post("/api/upload", files={"file": ("a.txt", b"mice and voles", "text/plain")})
            assert upload.status_code in (200, 201), upload.text
            before = (await client.get(url)).json()
            cursor = (await read_events(client, f"{url}/events", count=0))[-1]["id"]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_chatter, client, await make(client))
                made = await in_thread("backup", place, data=tmp_path / "one" / "data")
                nursery.cancel_scope.cancel()
            cookies = dict(client.cookies)
    assert made["manifest"]["contents"] == 1
    assert made["manifest"]["missing"] == []
    data = tmp_path / "two" / "data"
    data.parent.mkdir()
    restored = await in_thread("restore", made["backup"], data=data)
    assert restored["generation"] != made["manifest"]["generation"]
    assert all(one["state"] == "right" for one in await in_thread("check", "--deep", data=data))
    with serving(tmp_path / "two") as server:
        async with client_of(server, cookies) as client:
            after = (await client.get(url)).json()
            assert texts(after["messages"]) == texts(before["messages"])
            file = upload.json()["files"][0]["id"]
            assert (await client.get(f"/api/files/{file}")).content == b"mice and voles"
            events = await read_events(client, f"{url}/events?after={cursor}", "reset")
            assert events[-1]["type"] == "reset"


async def _chatter(client: httpx2.AsyncClient, url: str) -> None:
    while True:
        await talked(client, url, "More!")


def filled(folder: Path) -> Path:
    """A data folder with a little in it, and a content of a file."""

    async def fill() -> None:
        with serving(folder) as server:
            async with client_of(server) as client:
                await register(client)
                await note(client, await make(client), "Owls eat mice")
                await client.post("/api/upload", files={"file": ("a.txt", b"mice and voles", "text/plain")})

    trio.run(fill)
    return folder / "data"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled(tmp_path_factory.mktemp("original"))


@pytest.fixture
def data(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(original, tmp_path / "data", ignore=shutil.ignore_patterns("*.sock")))


@pytest.fixture
def backup(data: Path, tmp_path: Path, capsys: Capture) -> Path:
    assert cli.main(["db", "backup", str(tmp_path / "backups"), "--json"]) == 0
    return Path(json.loads(capsys.readouterr().out)["backup"])


def test_second_backup_copies_only_what_is_new(backup: Path, data: Path, capsys: Capture) -> None:
    contents = backup.parent / "files"
    (content,) = (path for path in contents.glob("*/*"))
    first = content.stat().st_ino
    assert cli.main(["db", "backup", str(backup.parent), "--keep", "1", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["removed"] == [str(backup)]
    assert content.stat().st_ino == first
    assert cli.main(["db", "restore", made["backup"], "--data-dir", "elsewhere"]) == 0


@pytest.mark.parametrize(
    "damage",
    ["rows.jsonl.gz cut", "rows.jsonl.gz flipped", "rows.jsonl.gz gone", "manifest.json cut", "content flipped"],
)
def test_damaged_backup_is_refused(damage: str, backup: Path, capsys: Capture) -> None:
    name, how = damage.split()
    path = next((backup.parent / "files").glob("*/*")) if name == "content" else backup / name
    whole = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        half = len(whole) // 2
        path.write_bytes(whole[:half] if how == "cut" else whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :])
    assert cli.main(["db", "restore", str(backup), "--data-dir", "elsewhere"]) == 2
    assert "backup" in capsys.readouterr().err
    assert not Path("elsewhere").exists()


def test_data_is_replaced_only_when_told_so(backup: Path, data: Path, capsys: Capture) -> None:
    before = (data / "trialogue.db").read_bytes()
    assert cli.main(["db", "restore", str(backup)]) == 2
    assert "--replace" in capsys.readouterr().err
    assert (data / "trialogue.db").read_bytes() == before
    assert cli.main(["db", "restore", str(backup), "--replace", "--json"]) == 0
    kept = Path(json.loads(capsys.readouterr().out)["kept"])
    assert kept.read_bytes() == before
    assert cli.main(["db", "check"]) == 0


KILLED = """
import os, signal, sys
from trialogue_server import cli
from {module} import {name} as victim
def die(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)
victim.{method} = die
cli.main(sys.argv[1:])
"""


def killed(module: str, name: str, method: str, *arguments: str) -> None:
    program = KILLED.format(module=module, name=name, method=method)
    ran = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, check=False, timeout=60)
    assert ran.returncode == -signal.SIGKILL, ran.stderr


@pytest.mark.parametrize("method", ["_put", "_install"])
def test_killed_restore_leaves_what_was_there(method: str, backup: Path, data: Path) -> None:
    before = (data / "trialogue.db").read_bytes()
    killed("trialogue_sqlite._transfer", "_Loading", method, "db", "restore", str(backup), "--replace")
    assert (data / "trialogue.db").read_bytes() == before
    assert cli.main(["db", "check"]) == 0
    assert cli.main(["db", "restore", str(backup), "--replace"]) == 0
    assert not [name for name in os.listdir(data) if name.startswith(".trialogue-loading")]


def test_killed_restore_into_a_new_place_can_be_made_again(backup: Path) -> None:
    killed("trialogue_sqlite._transfer", "_Loading", "_install", "db", "restore", str(backup), "--data-dir", "new")
    assert cli.main(["db", "restore", str(backup), "--data-dir", "new"]) == 0
    assert cli.main(["db", "check", "--deep", "--data-dir", "new"]) == 0


def test_restore_takes_the_files_that_are_left(backup: Path, data: Path) -> None:
    """The disk of the database was lost, and the share with its files is mounted in a new one: nothing begins without it."""
    Path("new").mkdir()
    (data / "files").rename("new/files")
    serve = [sys.executable, "-m", "trialogue_server", "serve", "--port", "0", "--data-dir", "new"]
    ran = subprocess.run(serve, capture_output=True, check=False, timeout=60)
    assert (ran.returncode, b"belongs to another store" in ran.stderr) == (2, True), ran.stderr
    assert cli.main(["db", "restore", str(backup), "--data-dir", "new"]) == 0
    assert cli.main(["db", "check", "--deep", "--data-dir", "new"]) == 0


def test_restore_mends_a_content_that_was_damaged(backup: Path, data: Path) -> None:
    Path("new").mkdir()
    (data / "files").rename("new/files")
    (content,) = Path("new/files").glob("[0-9a-f][0-9a-f]/*")
    content.unlink()
    content.write_bytes(b"mice and bowls")
    assert cli.main(["db", "restore", str(backup), "--data-dir", "new"]) == 0
    assert cli.main(["db", "check", "--deep", "--data-dir", "new"]) == 0


def test_killed_backup_is_none(backup: Path) -> None:
    killed("trialogue_server._keeping", "backup", "_named", "db", "backup", str(backup.parent))
    names = [name for name in os.listdir(backup.parent) if name[0].isdigit()]
    assert names == [backup.name]
    assert cli.main(["db", "backup", str(backup.parent)]) == 0
    assert not list(backup.parent.glob(".partial-*"))


@pytest.mark.parametrize("call", ["write", "copy"])
def test_full_disk_leaves_no_backup(call: str, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    target, name = (rows.RowsFile, "write") if call == "write" else (pool, "_copied")
    monkeypatch.setattr(target, name, full)
    assert cli.main(["db", "backup", "backups"]) == 2
    assert "No space left" in capsys.readouterr().err
    assert not [name for name in os.listdir("backups") if name[0].isdigit() or name.startswith(".partial")]


def test_check_finds_what_is_wrong(data: Path, capsys: Capture) -> None:
    import apsw

    connection = apsw.Connection(str(data / "trialogue.db"))
    connection.execute("DELETE FROM entry WHERE seq = 1; UPDATE message SET parent = 'nobody'")
    connection.close()
    next(path for path in (data / "files").glob("*/*") if len(path.name) == 64).write_bytes(b"mice and owls!")
    assert cli.main(["db", "check", "--deep"]) == 2
    told = capsys.readouterr().out
    assert "NO rows: logs with a hole: 1" in told
    assert "NO rows: messages below one that is not there: 1" in told
    assert "NO files: 1 contents of files are missing" in told


def test_contents_that_nobody_knows_are_removed(data: Path, capsys: Capture) -> None:
    stray = data / "files" / "ab" / ("ab" * 32)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"stray")
    assert cli.main(["db", "check"]) == 0
    assert "known to no row" in capsys.readouterr().out
    assert cli.main(["db", "prune"]) == 0
    assert stray.exists(), "it may have come while the rows were read"
    os.utime(stray, (0, 0))
    assert cli.main(["db", "prune", "--dry-run"]) == 0
    assert stray.exists()
    assert cli.main(["db", "prune"]) == 0
    assert not stray.exists()
    assert cli.main(["db", "check", "--deep"]) == 0


def test_copy_takes_files_along(data: Path, capsys: Capture) -> None:
    assert cli.main(["db", "copy", "sqlite:", "--to-data-dir", "copy", "--json"]) == 0
    moved = json.loads(capsys.readouterr().out)
    assert moved["contents"] == 1
    assert cli.main(["db", "check", "--deep", "--data-dir", "copy"]) == 0
    assert cli.main(["db", "copy", "sqlite:", "--to-data-dir", "copy"]) == 2
    assert "holds data" in capsys.readouterr().err


def test_migrate_says_where_it_stands(data: Path, capsys: Capture) -> None:
    assert cli.main(["db", "migrate", "--dry-run"]) == 0
    assert cli.main(["db", "migrate"]) == 0
    assert "is up to date" in capsys.readouterr().out


def test_secrets_of_a_unit_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the timers of ``deploy/systemd`` run it: where the storage is, systemd hands over."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "handed").mkdir()
    (tmp_path / "handed" / "env_TRIALOGUE_STORAGE_URL").write_text("sqlite:handed.db\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "handed"))
    monkeypatch.setenv("TRIALOGUE_STORAGE_URL", "")  # Gone again after the test, whatever is put there.
    assert cli.main(["db", "migrate"]) == 0
    assert (tmp_path / "data" / "handed.db").exists()
