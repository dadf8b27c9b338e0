"""Content on a disk: whole or not there, whatever the disk does. A share is imitated by a disk that fails as planned."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.lowlevel
from disks import FaultyDisk
from trio.testing import MockClock

from trialogue import Blobs, ConfigurationError, NotFoundError, StorageError
from trialogue._files.blob_folder import IDENTITY, claim_folder
from trialogue.testing import MemoryStore

CONTENT = b"0123456789" * 100
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def disk() -> FaultyDisk:
    return FaultyDisk()


@pytest.fixture
async def blobs(tmp_path: Path, disk: FaultyDisk) -> Blobs:
    found = Blobs(tmp_path / "files", disk=disk)
    await claim_folder(MemoryStore().files, found)
    disk.calls.clear()
    return found


async def put(blobs: Blobs, content: bytes = CONTENT) -> None:
    async with blobs.create() as writer:
        await writer.write(content)
        await writer.finish()
        await writer.place()


async def read(blobs: Blobs, start: int = 0, size: int = len(CONTENT)) -> bytes:
    async with blobs.open(DIGEST, len(CONTENT)) as reader:
        return await reader.read(start, size)


def names(blobs: Blobs) -> list[str]:
    return sorted(p.name for p in blobs.folder.rglob("*") if p.is_file() and p.name != IDENTITY)


async def test_content_is_found_by_its_digest(blobs: Blobs) -> None:
    await put(blobs)
    assert names(blobs) == [DIGEST]
    assert await read(blobs) == CONTENT
    assert await read(blobs, 15, 10) == CONTENT[15:25]
    assert await read(blobs, 995, 10) == CONTENT[995:]


async def test_durable_before_it_has_its_name_and_its_name_durable_too(blobs: Blobs, disk: FaultyDisk) -> None:
    await put(blobs)
    assert disk.calls.index("fsync") < disk.calls.index("replace")
    assert "fsync" in disk.calls[disk.calls.index("replace") :]


async def test_what_is_not_placed_leaves_nothing(blobs: Blobs) -> None:
    async with blobs.create() as writer:
        await writer.write(CONTENT)
        await writer.finish()
    assert names(blobs) == []


async def test_cancelled_in_the_middle_leaves_nothing(blobs: Blobs) -> None:
    with trio.CancelScope() as scope:
        async with blobs.create() as writer:
            await writer.write(CONTENT)
            scope.cancel()
            await writer.write(CONTENT)
    assert names(blobs) == []


async def test_same_content_at_once_is_one(blobs: Blobs) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(put, blobs)
    assert names(blobs) == [DIGEST]
    assert await read(blobs) == CONTENT


async def test_damaged_content_is_mended_by_the_next_upload(blobs: Blobs) -> None:
    await put(blobs)
    blobs.path(DIGEST).write_bytes(b"cut off")
    with pytest.raises(StorageError, match="7 bytes instead of 1000"):
        await read(blobs)
    await put(blobs)
    assert await read(blobs) == CONTENT


async def test_short_writes_and_reads_are_gone_on_with(blobs: Blobs, disk: FaultyDisk) -> None:
    disk.shortest = 7
    await put(blobs)
    assert await read(blobs) == CONTENT


@pytest.mark.parametrize("call", ["write", "fsync", "close"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE])
async def test_content_that_may_not_be_durable_is_given_up_in_words(
    blobs: Blobs, disk: FaultyDisk, call: str, error: int
) -> None:
    """A second fsync says that all is well, though what the first one could not write is gone."""
    disk.plan(call, error)
    with pytest.raises(StorageError, match="make room" if error in (errno.ENOSPC, errno.EDQUOT) else "files_dir"):
        await put(blobs)
    assert names(blobs) == []
    await put(blobs)


@pytest.mark.parametrize("error", [errno.ESTALE, errno.EIO, errno.EBADF])
async def test_stale_handle_is_opened_again(blobs: Blobs, disk: FaultyDisk, error: int) -> None:
    await put(blobs)
    async with blobs.open(DIGEST, len(CONTENT)) as reader:
        disk.plan("pread", error, 0, error)
        disk.shortest = 600
        disk.calls.clear()
        assert await reader.read(0, 1000) == CONTENT
        assert disk.calls.count("open") == 2
    disk.plan("open", error)
    assert await read(blobs) == CONTENT


async def test_share_that_stays_away_is_told(blobs: Blobs, disk: FaultyDisk) -> None:
    await put(blobs)
    disk.plan("pread", *[errno.ESTALE] * 3)
    with pytest.raises(StorageError, match="files_dir"):
        await read(blobs)
    assert await read(blobs) == CONTENT


async def test_renaming_is_tried_again(blobs: Blobs, disk: FaultyDisk) -> None:
    disk.plan("replace", errno.ESTALE, errno.ENOENT)
    await put(blobs)
    assert names(blobs) == [DIGEST]


async def test_renamed_by_a_share_that_lost_its_answer(blobs: Blobs, disk: FaultyDisk) -> None:
    """It is asked again by the system, and then finds nothing to rename."""
    async with blobs.create() as writer:
        await writer.write(CONTENT)
        await writer.finish()
        blobs.path(DIGEST).parent.mkdir()
        (source,) = (blobs.folder / "incoming").iterdir()
        source.replace(blobs.path(DIGEST))
        await writer.place()
    assert await read(blobs) == CONTENT


async def test_name_that_is_taken_by_the_same_content_will_do(blobs: Blobs, disk: FaultyDisk) -> None:
    await put(blobs)
    disk.plan("replace", errno.EEXIST)
    await put(blobs)
    assert names(blobs) == [DIGEST]


async def test_loser_of_a_race_for_a_new_folder_leaves_nothing(blobs: Blobs, disk: FaultyDisk) -> None:
    """The folder was not there when it renamed, and holds the same content when it looks again."""
    await put(blobs)
    disk.plan("replace", errno.ENOENT)
    await put(blobs)
    assert names(blobs) == [DIGEST]


async def test_placing_is_tried_again_after_a_failed_sync_of_the_folder(blobs: Blobs, disk: FaultyDisk) -> None:
    await put(blobs, b"other")
    async with blobs.create() as writer:
        await writer.write(CONTENT)
        await writer.finish()
        disk.plan("fsync", 0, errno.EIO)  # The folder is made, and cannot be synced with its new name.
        with pytest.raises(StorageError):
            await writer.place()
        await writer.place()
    assert await read(blobs) == CONTENT


async def test_missing_content_is_not_found(blobs: Blobs) -> None:
    with pytest.raises(NotFoundError):
        await read(blobs)
    await blobs.remove([DIGEST])


async def test_what_dead_processes_left_is_swept(blobs: Blobs) -> None:
    dead, alive = blobs.folder / "incoming/dead", blobs.folder / "incoming/alive"
    dead.write_bytes(b"x")
    alive.write_bytes(b"x")
    os.utime(dead, (0, 0))
    (blobs.folder / "incoming/.nfs0001").write_bytes(b"x")
    assert await blobs.sweep() == 1
    assert names(blobs) == [".nfs0001", "alive"]


async def test_name_that_is_gone_when_it_is_looked_at_spoils_no_sweep(blobs: Blobs) -> None:
    """Another host has removed it since the folder was listed; it leads nowhere."""
    (blobs.folder / "incoming/gone").symlink_to("nowhere")
    dead = blobs.folder / "incoming/dead"
    dead.write_bytes(b"x")
    os.utime(dead, (0, 0))
    assert await blobs.sweep() == 1


async def test_check_writes_and_leaves_nothing(blobs: Blobs, disk: FaultyDisk) -> None:
    await blobs.check()
    assert "fsync" in disk.calls
    disk.plan("fsync", errno.EROFS)
    with pytest.raises(StorageError, match="cannot be written"):
        await blobs.check()
    assert names(blobs) == []


# --- a share that is away ----------------------------------------------------------------------------------------


async def idle(blobs: Blobs) -> None:
    """Wait until no call is under way. A virtual clock stands still meanwhile."""
    while blobs.statistics()["busy"]:
        await trio.lowlevel.checkpoint()


async def given_up(disk: FaultyDisk, call: str, work: Callable[[], Awaitable[object]]) -> None:
    """Cancel that work once it hangs in that call."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        while call not in disk.calls:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()


async def test_cancelled_upload_waits_for_no_share_and_is_gone_when_that_is_back(
    blobs: Blobs, disk: FaultyDisk, autojump_clock: MockClock
) -> None:
    back, began = disk.hang("write"), trio.current_time()
    await given_up(disk, "write", partial(put, blobs))
    assert trio.current_time() - began <= 5
    assert len(names(blobs)) == 1
    back.set()
    await idle(blobs)
    assert names(blobs) == []


async def test_cancelled_download_lets_go_when_the_share_is_back(
    blobs: Blobs, disk: FaultyDisk, autojump_clock: MockClock
) -> None:
    await put(blobs)
    disk.calls.clear()
    back = disk.hang("pread")
    await given_up(disk, "pread", partial(read, blobs))
    assert disk.calls == ["open", "pread"]
    back.set()
    await idle(blobs)
    assert disk.calls == ["open", "pread", "close"]


async def test_what_found_no_thread_to_let_go_is_let_go_later(
    blobs: Blobs, disk: FaultyDisk, autojump_clock: MockClock
) -> None:
    await put(blobs)
    narrow = Blobs(blobs.folder, threads=1, disk=disk)
    async with narrow.create() as writer:
        await writer.write(b"never finished")
        back = disk.hang("pread")
        await given_up(disk, "pread", partial(read, narrow))
    assert len(names(blobs)) == 2
    back.set()
    await idle(narrow)
    await narrow.sweep()
    assert names(blobs) == [DIGEST]


# --- whose folder it is ------------------------------------------------------------------------------------------


async def test_folder_is_its_stores_for_ever(tmp_path: Path) -> None:
    store = MemoryStore()
    for _ in range(2):
        await claim_folder(store.files, Blobs(tmp_path / "a/files"))
    with pytest.raises(ConfigurationError, match="belongs to another store"):
        await claim_folder(MemoryStore().files, Blobs(tmp_path / "a/files"))


async def test_empty_mount_point_beside_known_files_is_refused(tmp_path: Path) -> None:
    store = MemoryStore()
    await claim_folder(store.files, Blobs(tmp_path / "share"))
    await store.files.keep([DIGEST], store._now())
    (tmp_path / "share").rename(tmp_path / "unmounted")
    with pytest.raises(ConfigurationError, match="mount the disk or share"):
        await claim_folder(store.files, Blobs(tmp_path / "share"))


async def test_start_that_was_interrupted_goes_on(tmp_path: Path) -> None:
    store = MemoryStore()
    await store.files.folder("bound, but not written")
    await claim_folder(store.files, Blobs(tmp_path))
    await claim_folder(store.files, Blobs(tmp_path))


async def test_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(ConfigurationError, match="holds other things"):
        await claim_folder(MemoryStore().files, Blobs(tmp_path))


async def test_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be used"):
        await claim_folder(MemoryStore().files, Blobs(tmp_path / "file"))
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / IDENTITY).write_text("{")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        await claim_folder(MemoryStore().files, Blobs(tmp_path / "c"))
