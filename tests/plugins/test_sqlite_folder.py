"""The right data is opened, by one process, or the operator is told why not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
import msgspec
import pytest

import trialogue_sqlite
from trialogue import ConfigurationError
from trialogue.testing._kit_making import begin, numbers
from trialogue_sqlite import _schema
from trialogue_sqlite._folder import refuse_network
from trialogue_sqlite._store import SQLiteStore

#: The schema of this version.
KNOWN = _schema.migrations()[-1].number


@asynccontextmanager
async def opened(data: Path, url: str = "sqlite:") -> AsyncGenerator[SQLiteStore]:
    opening = trialogue_sqlite.trialogue_store(url, data)
    assert opening is not None
    async with opening as store:
        assert isinstance(store, SQLiteStore)
        yield store


async def refused(data: Path, match: str, url: str = "sqlite:") -> None:
    with pytest.raises(ConfigurationError, match=match):
        async with opened(data, url):
            pass


def change(path: Path, statement: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("url", "name"), [("sqlite:", "trialogue.db"), ("sqlite:a.db", "a.db"), ("sqlite:/srv/x.db", "/srv/x.db")]
)
def test_url_names_a_file(url: str, name: str) -> None:
    assert trialogue_sqlite.database_path(url, Path("/data")) == Path("/data") / name


@pytest.mark.parametrize("url", ["sqlite:///x.db", "sqlite::memory:", "sqlite:x.db?mode=ro", "sqlite:a/"])
def test_url_without_file_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="names no file"):
        trialogue_sqlite.trialogue_store(url, Path("/data"))


def test_other_schemes_are_others() -> None:
    assert trialogue_sqlite.trialogue_store("postgresql://db", Path("/data")) is None


async def test_settings_are_those_that_keep_promises(tmp_path: Path) -> None:
    async with opened(tmp_path / "data") as store:
        pragmas = ("journal_mode", "synchronous", "application_id", "user_version")
        found = await store.writer.run(lambda connection: [connection.pragma(name) for name in pragmas])
    assert found == ["wal", 2, _schema.APPLICATION, KNOWN]
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0
    assert (tmp_path / "data/trialogue.db").stat().st_mode & 0o077 == 0


async def test_second_process_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    program = (
        "import sys, trio, trialogue_sqlite, pathlib\n"
        "async def main():\n"
        "    try:\n"
        "        async with trialogue_sqlite.trialogue_store('sqlite:', pathlib.Path(sys.argv[1])): print('opened')\n"
        "    except Exception as error: print(type(error).__name__, error)\n"
        "trio.run(main)\n"
    )

    def second() -> str:
        ran = subprocess.run([sys.executable, "-c", program, str(tmp_path / "data")], capture_output=True, check=True)
        return ran.stdout.decode()

    async with opened(tmp_path / "data"):
        said = second()
        assert "ConfigurationError" in said
        assert f"pid {os.getpid()}:" in said
    assert second().strip() == "opened"


async def test_database_elsewhere_is_held_too(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/elsewhere.db"
    async with opened(tmp_path / "one", url):
        await refused(tmp_path / "two", "in use by the process", url)


async def test_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    await refused(tmp_path, r"holds other things \(letters.txt\)")
    assert not (tmp_path / "trialogue.db").exists()


async def test_folders_for_files_may_be_there_first(tmp_path: Path) -> None:
    """A share that was mounted before the first start, a link to where one is, and one that outlived its database."""
    (tmp_path / "data/files/lost+found").mkdir(parents=True)
    (tmp_path / "data/files/.snapshot").mkdir()
    (tmp_path / "share/ab").mkdir(parents=True)
    (tmp_path / "share/trialogue-files.json").write_text("{}")
    (tmp_path / "data/more").symlink_to(tmp_path / "share")
    async with opened(tmp_path / "data") as store:
        await store.check()


async def test_other_folders_with_content_are_refused(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "mail/new").mkdir(parents=True)
    await refused(tmp_path, r"holds other things \(mail\)")
    assert not (tmp_path / "trialogue.db").exists()


async def test_nothing_begins_empty_beside_old_data(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    await refused(tmp_path, "missing", "sqlite:another.db")
    (tmp_path / "trialogue.db").rename(tmp_path / "away.db")
    await refused(tmp_path, r"'.*trialogue.db' is missing")
    (tmp_path / "away.db").rename(tmp_path / "trialogue.db")
    async with opened(tmp_path) as store:
        await store.check()


async def test_database_of_another_folder_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        async with opened(tmp_path / name):
            pass
    (tmp_path / "one/trialogue.db").replace(tmp_path / "two/trialogue.db")
    await refused(tmp_path / "two", "not the database of this folder")


async def test_database_of_another_application_is_refused(tmp_path: Path) -> None:
    change(tmp_path / "trialogue.db", "CREATE TABLE theirs (a)")
    await refused(tmp_path, "something else")


async def test_start_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    """The database was there and the identity not yet."""
    async with opened(tmp_path) as store:
        talk = await begin(store)
    (tmp_path / "trialogue.json").unlink()
    async with opened(tmp_path) as store:
        talk.store = store
        assert await numbers(talk) == [0]


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": 1}', b'{"format": 9, "store": "x"}'])
async def test_identity_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes) -> None:
    async with opened(tmp_path):
        pass
    (tmp_path / "trialogue.json").write_bytes(content)
    await refused(tmp_path, "trialogue.json")


async def test_restored_backup_is_another_generation(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        assert store.generation == 1
    backup = (tmp_path / "trialogue.db").read_bytes()
    async with opened(tmp_path) as store:
        assert store.generation == 1
        await begin(store)
    (tmp_path / "trialogue.db").write_bytes(backup)
    for _ in range(2):
        async with opened(tmp_path) as store:
            assert store.generation == 2


MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 22 0:50 / /srv/share rw,relatime shared:2 - nfs4 server:/x rw
41 40 254:1 / /srv/share/local rw - xfs /dev/vdb rw
42 22 0:51 / /mnt/two\\040words rw - cifs //server/x rw
43 22 0:52 / /home rw - fuse.sshfs me@there: rw
"""


@pytest.mark.parametrize("folder", ["/srv/share", "/srv/share/data", "/mnt/two words/x", "/home/me"])
def test_network_file_system_is_refused(folder: str) -> None:
    with pytest.raises(ConfigurationError, match="network file system"):
        refuse_network(Path(folder), MOUNTS)


@pytest.mark.parametrize("folder", ["/", "/srv", "/srv/shared", "/srv/share/local/data", "/mnt/two"])
def test_local_file_system_is_taken(folder: str) -> None:
    refuse_network(Path(folder), MOUNTS)
    refuse_network(Path(folder), "")


async def test_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    if os.getuid() == 0:
        # Permissions do not hold root back; a folder of the kernel's does.
        await refused(Path("/proc/self/task/data"), "cannot be used")
    else:
        tmp_path.chmod(0o500)  # noqa: ASYNC240 - nothing else runs here
        await refused(tmp_path / "data", "make it writable")


async def test_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    await refused(tmp_path / "data", "cannot be used")


@pytest.mark.parametrize("content", [b"not a database at all" * 500, b"SQLite format 3\x00" + b"\xff" * 5000])
async def test_garbage_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "trialogue.db").write_bytes(content)
    await refused(tmp_path, "damaged or no database")
    assert (tmp_path / "trialogue.db").read_bytes() == content


async def test_damage_is_found_at_the_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        talk = await begin(store)
        for _ in range(50):
            await talk.say("word " * 200)
    whole = bytearray((tmp_path / "trialogue.db").read_bytes())
    for page in range(4096 * 20, len(whole), 4096):
        whole[page : page + 200] = b"\xff" * 200
    (tmp_path / "trialogue.db").write_bytes(whole)
    await refused(tmp_path, "damaged")


async def test_newer_database_is_refused_with_advice(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    change(tmp_path / "trialogue.db", "INSERT INTO migration VALUES (99, '0099_later.sql', 'x', 0)")
    await refused(tmp_path, rf"newer version \(schema 99, this one knows {KNOWN}\)")


async def test_changed_migration_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    change(tmp_path / "trialogue.db", "UPDATE migration SET checksum = 'x'")
    await refused(tmp_path, "migration 1 of .* is not the one of this version")


async def test_interrupted_migration_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first step stays, the second leaves nothing behind when it fails, and is done at the next start."""
    good = _schema.migrations()
    second = _schema.Migration(KNOWN + 1, "9999_more.sql", "CREATE TABLE more (a); INSERT INTO more VALUES (1);")
    broken = msgspec.structs.replace(second, sql=second.sql + "INSERT INTO nowhere VALUES (1);")
    monkeypatch.setattr("trialogue_sqlite._opening.migrations", lambda: [*good, broken])
    await refused(tmp_path, "cannot be opened")
    monkeypatch.setattr("trialogue_sqlite._opening.migrations", lambda: [*good, second])
    async with opened(tmp_path) as store:
        found = await store.writer.run(
            lambda connection: (connection.execute("SELECT count(*) FROM more").get, connection.pragma("user_version"))
        )
    assert found == (1, KNOWN + 1)
    monkeypatch.setattr("trialogue_sqlite._opening.migrations", lambda: good)
    await refused(tmp_path, "newer version")


async def test_closed_store_leaves_one_file_with_everything(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await begin(store)
    assert sorted(os.listdir(tmp_path)) == ["trialogue.db", "trialogue.json", "trialogue.lock"]
