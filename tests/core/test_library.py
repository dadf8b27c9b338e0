"""The library: uploads are whole or not there, what was uploaded is read within bounds, and what nobody needs goes."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio

from trialogue import Bounds, Extractor, File, FileLimits, Library, NotFoundError, StorageError, open_library
from trialogue._files.inspection import Inspection
from trialogue.testing import Fault, MemoryStore

#: Functions of a plugin, each doing what its name says. A module of their own, as a child process imports it.
EXTRACTORS = """
import os, sys, time

def upper(source, characters):
    return {"text": source.read().decode().upper()}

def sleeps(source, characters):
    time.sleep(60)

def spins(source, characters):
    while True:
        pass

def hogs(source, characters):
    return {"text": "x" * (600 << 20)}

def dies(source, characters):
    os.kill(os.getpid(), 9)

def raises(source, characters):
    raise KeyError("secret detail")

def explains(source, characters):
    raise ValueError("it is written in invisible ink")

def floods(source, characters):
    return {"detail": "x" * (1 << 26)}

def lies(source, characters):
    return {"lat": 500.0, "width": -1}

def prints(source, characters):
    print("noise")
    return {"text": "quiet"}

def tells(source, characters):
    return {"text": repr(sorted(os.environ)) + " trio" * ("trio" in sys.modules)}

def odd(source, characters):
    return {"text": "a\\x00b\\ud800c" + "z" * characters}
"""


@pytest.fixture
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "some_extractors.py").write_text(EXTRACTORS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    return tmp_path / "files"


def extractor(function: str) -> Extractor:
    return Extractor(function, ("text/plain",), f"some_extractors:{function}")


@asynccontextmanager
async def opened(
    folder: Path, *functions: str, store: MemoryStore | None = None, bounds: Bounds | None = None
) -> AsyncGenerator[Library]:
    limits = FileLimits(reading=bounds or Bounds(seconds=10, memory=256 * 1024**2, characters=1_000))
    files = (store or MemoryStore()).files
    async with open_library(files, folder, [*map(extractor, functions)], limits) as library:
        yield library


async def put(library: Library, *contents: bytes) -> Sequence[File]:
    async with library.upload("owner") as upload:
        for content in contents:
            await upload.begin("note.txt")
            await upload.write(content)
            await upload.end()
        files = await upload.commit()
    library.added(files)
    return files


async def settled(library: Library, file: File) -> File:
    with trio.fail_after(30):
        found = await library.reading.settled(file.id, 30)
    assert found is not None
    return found


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.suffix != ".json")


# --- reading -----------------------------------------------------------------------------------------------------


async def test_what_was_uploaded_is_read_and_told(functions: Path) -> None:
    told: list[tuple[str, str | None]] = []
    async with opened(functions, "upper") as library:
        library.observe(lambda owner, file, value: told.append((file, value.text.state if value else None)))
        (file,) = await put(library, b"hello")
        found = await settled(library, file)
        assert (found.text.state, found.text.characters) == ("done", 5)
        assert await library.files.text(file.id, 100) == "HELLO"
        await library.remove(found)
        assert told == [(file.id, "pending"), (file.id, "done"), (file.id, None)]


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("spins", "longer than 1 seconds|takes too much"),
        ("sleeps", "longer than 1 seconds"),
        ("hogs", "more memory than is allowed"),
        ("dies", "damaged, or reading it takes too much"),
        ("raises", "it cannot be read"),
        ("explains", "it is written in invisible ink"),
        ("floods", "cannot be used|more was found"),
        ("lies", "cannot be used"),
        ("missing", "it cannot be read"),
    ],
)
async def test_file_that_cannot_be_read_is_told_in_words(functions: Path, function: str, words: str) -> None:
    bounds = Bounds(seconds=1 if function in ("spins", "sleeps") else 20, memory=256 * 1024**2, characters=1_000)
    async with opened(functions, function, bounds=bounds) as library:
        (file,) = await put(library, b"x")
        found = await settled(library, file)
        assert found.text.state == "failed"
        assert re.search(words, found.text.detail or ""), found.text.detail
        assert "secret" not in (found.text.detail or "")


async def test_child_has_no_secrets_and_nothing_of_the_server(functions: Path) -> None:
    async with opened(functions, "tells") as library:
        (file,) = await put(library, b"x")
        await settled(library, file)
        text = await library.files.text(file.id, 1_000)
        assert text is not None
        assert "OPENAI_API_KEY" not in text
        assert not text.endswith("trio")


async def test_text_is_bounded_and_can_be_written(functions: Path) -> None:
    async with opened(functions, "odd") as library:
        (file,) = await put(library, b"x")
        found = await settled(library, file)
        assert (found.text.characters, found.text.detail) == (1_000, "only its first 1000 characters were read")
        text = await library.files.text(file.id, 10_000)
        assert text is not None
        assert text.startswith("ab?cz")


async def test_noise_of_an_extractor_is_no_answer(functions: Path) -> None:
    async with opened(functions, "prints") as library:
        (file,) = await put(library, b"x")
        await settled(library, file)
        assert await library.files.text(file.id, 10) == "quiet"


async def test_restart_goes_on_with_what_was_not_read(functions: Path) -> None:
    store = MemoryStore()
    async with opened(functions, "sleeps", store=store) as library:
        (file,) = await put(library, b"hello")
    async with opened(functions, "upper", store=store) as library:
        assert (await settled(library, file)).text.state == "done"


async def test_stopping_leaves_no_child(functions: Path) -> None:
    async with opened(functions, "sleeps") as library:
        await put(library, b"hello")
        with trio.fail_after(20):
            while not children():  # noqa: ASYNC110 - a process is started in a thread
                await trio.sleep(0.01)
    assert children() == []


def children() -> list[str]:
    """Processes that read files, of this one."""
    found: list[str] = []
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            command = Path(f"/proc/{child}/cmdline")
            if command.exists() and b"inspection_child" in command.read_bytes():
                found.append(child)
    return found


async def test_store_in_trouble_is_waited_for(functions: Path) -> None:
    store = MemoryStore()
    async with opened(functions, "upper", store=store) as library:
        store.faults.next("learn", Fault("before"))
        (file,) = await put(library, b"hello")
        library.reading.wake()
        with trio.fail_after(30):
            while (found := await library.files.file(file.id)) and found.text.state == "pending":
                library.reading.wake()
                await trio.sleep(0.05)
        assert found is not None
        assert found.text.state == "done"


async def test_mistake_of_ours_with_one_file_does_not_stop_the_others(
    functions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trialogue._files import inspection, reading

    right = inspection.inspect

    async def inspect(function: str, source: int, bounds: Bounds) -> Inspection:
        if os.pread(source, 3, 0) == b"bad":
            raise ZeroDivisionError
        return await right(function, source, bounds)

    monkeypatch.setattr(reading, "inspect", inspect)
    async with opened(functions, "upper") as library:
        bad, good = await put(library, b"bad", b"good")
        assert (await settled(library, good)).text.state == "done"
        assert "reason that is ours" in ((await settled(library, bad)).text.detail or "")


async def test_damaged_content_is_told_and_does_not_stop_the_others(functions: Path) -> None:
    async with opened(functions, "upper") as library:
        # Both are there, and one of them damaged, when they are read.
        wake, library.reading.wake = library.reading.wake, lambda: None  # type: ignore[method-assign]
        bad, good = await put(library, b"damaged", b"good")
        library.blobs.path(bad.sha256).write_bytes(b"dam")
        wake()
        assert (await settled(library, good)).text.state == "done"
        assert "damaged" in ((await settled(library, bad)).text.detail or "")


async def test_one_that_cannot_be_read_now_does_not_stop_the_others(
    functions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trialogue._files import inspection, reading

    right = inspection.inspect

    async def inspect(function: str, source: int, bounds: Bounds) -> Inspection:
        if os.pread(source, 3, 0) == b"bad":
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return await right(function, source, bounds)

    monkeypatch.setattr(reading, "inspect", inspect)
    async with opened(functions, "upper") as library:
        bad, good = await put(library, b"bad", b"good")
        assert (await settled(library, good)).text.state == "done"
        found = await library.files.file(bad.id)
        assert found is not None
        assert found.text.state == "pending"


async def test_machine_that_starts_no_process_is_waited_for(functions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trialogue._files import inspection, reading

    right, refusals = inspection.inspect, [1]

    async def inspect(function: str, source: int, bounds: Bounds) -> Inspection:
        if refusals:
            refusals.pop()
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return await right(function, source, bounds)

    monkeypatch.setattr(reading, "inspect", inspect)
    async with opened(functions, "upper") as library:
        (file,) = await put(library, b"hello")
        with trio.fail_after(30):
            while refusals:  # noqa: ASYNC110 - nobody is told
                await trio.sleep(0.01)
        library.reading.wake()
        assert (await settled(library, file)).text.state == "done"


# --- uploads and what is left of them ----------------------------------------------------------------------------


async def test_upload_that_is_not_committed_leaves_nothing(functions: Path) -> None:
    async with opened(functions) as library:
        async with library.upload("owner") as upload:
            await upload.begin("a")
            await upload.write(b"x" * 1_000_000)
            await upload.end()
            await upload.begin("b")
            await upload.write(b"y")
        assert names(functions) == []
        assert (await library.files.space("owner", datetime.now(UTC))).reserved == 0


async def test_rows_that_cannot_be_written_leave_content_for_the_sweep(functions: Path) -> None:
    store = MemoryStore()
    async with opened(functions, store=store) as library:
        store.faults.next("add_files", Fault("before"))
        with pytest.raises(StorageError):
            await put(library, b"hello")
        assert len(names(functions)) == 1
        await library.sweep()
        assert len(names(functions)) == 1  # It might still be named.
        library._now = lambda: datetime.now(UTC) + timedelta(hours=1)
        assert await library.sweep() == 1
        assert names(functions) == []


async def test_upload_of_what_is_just_being_removed_waits_for_it(functions: Path) -> None:
    """Between the store's word that content is doomed and its removal, the same content arrives anew."""
    async with opened(functions) as library:
        (file,) = await put(library, b"hello")
        await library.remove(file)
        later = datetime.now(UTC) + timedelta(hours=1)
        doomed = await library.files.doomed(later, 10)
        assert list(doomed) == [file.sha256]
        again: list[File] = []

        async def upload() -> None:
            again.extend(await put(library, b"hello"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(upload)
            await trio.sleep(0.1)
            assert again == []
            await library.blobs.remove(doomed)
            await library.files.forget(doomed)
        async with library.open(again[0]) as reader:
            assert await reader.read(0, 5) == b"hello"


async def test_everything_of_an_owner_goes(functions: Path) -> None:
    async with opened(functions) as library:
        files = await put(library, *(str(n).encode() for n in range(5)))
        await library.remove_all("owner")
        assert [await library.files.file(file.id) for file in files] == [None] * 5
        library._now = lambda: datetime.now(UTC) + timedelta(hours=1)
        assert await library.sweep() == 5
        with pytest.raises(NotFoundError):
            async with library.open(files[0]):
                pass


async def test_descriptors_are_not_leaked(functions: Path) -> None:
    async with opened(functions, "upper") as library:
        (file,) = await put(library, b"hello")
        await settled(library, file)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            (file,) = await put(library, b"hello")
            await settled(library, file)
            async with library.open(file) as reader:
                await reader.read(0, 5)
        assert len(os.listdir("/proc/self/fd")) <= before
