"""A look at a data folder finds what a start would trip over, and leaves everything as it was."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import apsw
import pytest

import trialogue_sqlite
from trialogue import Finding, load_plugins
from trialogue_sqlite import _checkup


async def looked(data: Path, url: str = "sqlite:") -> list[Finding]:
    look = trialogue_sqlite.trialogue_store_checkup(url, data)
    assert look is not None
    return list(await look())


async def problem(data: Path) -> Finding:
    (one,) = [one for one in await looked(data) if one.state != "right"]
    assert one.detail
    assert one.fix
    return one


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """A folder that was used."""
    folder = tmp_path / "data"
    async with load_plugins().open_store("sqlite:", folder):
        pass
    return folder


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.iterdir()}


async def test_folder_that_is_well_is_left_as_it_was(data: Path) -> None:
    before = contents(data)
    (finding,) = await looked(data)
    assert (finding.state, "up to date" in finding.detail, "not in use" in finding.detail) == ("right", True, True)
    assert before.items() <= contents(data).items()


async def test_who_has_it_open_is_told(data: Path) -> None:
    async with load_plugins().open_store("sqlite:", data):
        (finding,) = await looked(data)
        assert f"in use by pid {os.getpid()}" in finding.detail


async def test_new_folder_is_not_made(tmp_path: Path) -> None:
    assert [one.state for one in await looked(tmp_path / "a/b")] == ["right"]
    assert not (tmp_path / "a").exists()


async def test_folder_that_cannot_be_had_is_wrong(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert (await problem(data)).state == "wrong"
    assert (await problem(tmp_path / "none")).state == "wrong"


async def test_open_folder_and_full_disk_are_doubtful(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chmod(data, 0o755)
    assert "chmod" in (await problem(data)).fix
    os.chmod(data, 0o700)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    assert "make room" in (await problem(data)).fix


async def test_long_log_is_doubtful(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_checkup, "LONG_LOG", -1)
    (data / "trialogue.db-wal").touch()
    assert "write-ahead log" in (await problem(data)).detail


async def test_missing_damaged_foreign_and_network_are_wrong(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = data / "trialogue.db"
    kept = database.read_bytes()
    database.write_bytes(b"garbage" * 1000)
    assert (await problem(data)).state == "wrong"
    database.unlink()
    assert "is missing" in (await problem(data)).detail
    apsw.Connection(str(database)).pragma("application_id", 7)
    assert "something else" in (await problem(data)).detail
    database.write_bytes(kept)
    monkeypatch.setattr(_checkup, "mounts", lambda: "1 0 0:1 / / rw - nfs4 server:/ rw\n")
    assert "network file system" in (await problem(data)).detail


async def test_schema_of_another_version_is_told(data: Path) -> None:
    connection = apsw.Connection(str(data / "trialogue.db"))
    connection.execute("DELETE FROM migration WHERE number = (SELECT max(number) FROM migration)")
    assert "backup" in (await problem(data)).fix
    connection.execute("INSERT INTO migration VALUES (9999, 'x', 'x', 0)")
    assert "newer version" in (await problem(data)).detail
    connection.close()


def test_other_schemes_are_others() -> None:
    assert trialogue_sqlite.trialogue_store_checkup("postgresql://x/y", Path()) is None
