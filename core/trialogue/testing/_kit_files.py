"""Store checks: files, the room they take, who mentions them, and which content is still needed."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import msgspec
import trio

from trialogue._facts.errors import InvalidError, QuotaError, StorageError
from trialogue._facts.ids import new_id
from trialogue._facts.values import FilePart, Message, ToolResultPart
from trialogue._files.files import File, FileText, Space, Variant
from trialogue._storage.store import Store
from trialogue.testing._kit_making import BEGAN, StoreCheck, Talk, begin, checks_in, minutes

FILE_CHECKS: list[StoreCheck] = []
check = checks_in(FILE_CHECKS)

#: Quota of the checks, in bytes.
QUOTA = 1_000


def a_file(content: bytes = b"content", **fields: Any) -> File:  # Any: the fields of File.
    values: dict[str, Any] = {
        "id": new_id(),
        "owner": "owner",
        "name": "Note.txt",
        "media_type": "text/plain",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "created_at": BEGAN,
    }
    return File(**(values | fields))


async def add(store: Store, *files: File) -> File:
    """Store files as an upload does; the last one is returned."""
    assert list(await store.files.keep([file.sha256 for file in files], minutes(2))) == []
    await store.files.add("an upload", files)
    return files[-1]


async def mention(talk: Talk, *files: File) -> Message:
    """Commit a message that names the files."""
    parts = tuple(FilePart(file.id, file.name, file.media_type) for file in files)
    message = Message(new_id(), talk.id, "user", parts, BEGAN)
    await talk.write("message.added", messages=(message,))
    return message


@check
async def file_is_found_by_its_id(store: Store) -> None:
    file = await add(store, a_file(lat=1.5, lon=-2.5, taken_at=minutes(-5), width=3, height=4))
    assert await store.files.file(file.id) == file
    assert await store.files.file(new_id()) is None


@check
async def space_is_what_the_files_take(store: Store) -> None:
    assert await store.files.space("owner", BEGAN) == Space(0, 0, 0)
    first = a_file(b"12345")
    await add(store, first, a_file(b"123"), a_file(b"1", owner="another"))
    assert await store.files.space("owner", BEGAN) == Space(2, 8, 0)
    assert await store.files.drop(first.id)
    assert not await store.files.drop(first.id)
    assert await store.files.space("owner", BEGAN) == Space(1, 3, 0)


@check
async def room_is_set_aside_exactly_in_a_race(store: Store) -> None:
    await add(store, a_file(b"x" * 200))
    refused: list[str] = []

    async def reserve(upload: str) -> None:
        try:
            await store.files.reserve(upload, "owner", 100, quota=QUOTA, at=BEGAN, until=minutes(2))
        except QuotaError:
            refused.append(upload)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(reserve, f"upload {number}")
    assert len(refused) == 12
    assert await store.files.space("owner", BEGAN) == Space(1, 200, 800)


@check
async def room_that_is_set_aside_grows_in_place_and_is_given_back(store: Store) -> None:
    for size in (400, 900, 1_000):
        await store.files.reserve("one", "owner", size, quota=QUOTA, at=BEGAN, until=minutes(2))
    try:
        await store.files.reserve("one", "owner", 1_001, quota=QUOTA, at=BEGAN, until=minutes(2))
    except QuotaError:
        pass
    else:
        raise AssertionError("one byte too many was set aside")
    assert (await store.files.space("owner", BEGAN)).reserved == 1_000
    await store.files.reserve("of another", "another", 1_000, quota=QUOTA, at=BEGAN, until=minutes(2))
    await store.files.release("one")
    await store.files.release("one")
    assert (await store.files.space("owner", BEGAN)).reserved == 0


@check
async def room_of_an_upload_that_died_comes_back(store: Store) -> None:
    await store.files.reserve("dead", "owner", QUOTA, quota=QUOTA, at=BEGAN, until=minutes(2))
    await store.files.reserve("alive", "owner", QUOTA, quota=QUOTA, at=minutes(3), until=minutes(5))
    assert (await store.files.space("owner", minutes(3))).reserved == QUOTA


@check
async def rows_take_the_place_of_what_was_set_aside(store: Store) -> None:
    await store.files.reserve("an upload", "owner", 900, quota=QUOTA, at=BEGAN, until=minutes(2))
    await add(store, a_file(b"12"), a_file(b"3"))
    assert await store.files.space("owner", BEGAN) == Space(2, 3, 0)


@check
async def page_is_newest_first_and_goes_on_where_it_ended(store: Store) -> None:
    files = [a_file(str(n).encode(), created_at=minutes(n // 2)) for n in range(7)]
    await add(store, *files, a_file(owner="another"))
    expected = [f.id for f in sorted(files, key=lambda f: (f.created_at, f.id), reverse=True)]
    seen: list[str] = []
    cursor = None
    while True:
        page = await store.files.page("owner", limit=3, cursor=cursor)
        seen += [file.id for file in page.files]
        if (cursor := page.cursor) is None:
            break
    assert seen == expected
    try:
        await store.files.page("owner", limit=3, cursor="nonsense")
    except InvalidError:
        return
    raise AssertionError("a cursor that is none was taken")


@check
async def page_is_filtered_by_name_and_type(store: Store) -> None:
    note = a_file(b"a", name="Straße % notes.TXT")
    photo = a_file(b"b", name="beach.png", media_type="image/png")
    other = a_file(b"c", name="x", media_type="imagex/png")
    await add(store, note, photo, other)

    async def found(**filters: Any) -> list[str]:  # Any: the filters of page.
        return [file.id for file in (await store.files.page("owner", limit=10, **filters)).files]

    assert await found(name="STRASSE %") == [note.id]
    assert await found(name="_") == []
    assert await found(media_type="image/png") == [photo.id]
    assert await found(media_type="image/") == [photo.id]
    assert await found(media_type="image") == [photo.id]
    assert await found(media_type="image/", name="note") == []


@check
async def pending_file_is_learnt_about_once(store: Store) -> None:
    first, second = a_file(b"a"), a_file(b"b")
    await add(store, first, second, a_file(b"c", text=FileText("none")))
    assert [file.id for file in await store.files.pending(10)] == [first.id, second.id]
    assert len(await store.files.pending(1)) == 1
    learnt = msgspec.structs.replace(first, text=FileText("done", 11), width=2, height=3, lat=4.0, lon=5.0)
    assert await store.files.learn(learnt, "Hello world")
    assert await store.files.file(first.id) == learnt
    assert await store.files.text(first.id, 5) == "Hello"
    assert await store.files.text(second.id, 5) is None
    assert [file.id for file in await store.files.pending(10)] == [second.id]
    assert await store.files.drop(first.id)
    assert not await store.files.learn(learnt, "again")
    assert await store.files.text(first.id, 5) is None


@check
async def conversation_takes_the_files_with_it_that_only_it_names(store: Store) -> None:
    mine, shared, free = a_file(b"a"), a_file(b"b"), a_file(b"c")
    await add(store, mine, shared, free)
    first, second = await begin(store), await begin(store)
    await mention(first, mine, shared)
    await mention(first, mine)
    await mention(second, shared)
    await store.purge(first.id)
    assert [await store.files.file(f.id) is not None for f in (mine, shared, free)] == [False, True, True]
    await store.purge(second.id)
    assert [await store.files.file(f.id) is not None for f in (mine, shared, free)] == [False, False, True]


@check
async def conversation_takes_what_its_tools_returned_with_it(store: Store) -> None:
    mine, free = a_file(b"a"), a_file(b"b")
    await add(store, mine, free)
    talk = await begin(store)
    result = ToolResultPart("c1", "drawn", files=(FilePart(mine.id, mine.name, mine.media_type),))
    message = Message(new_id(), talk.id, "assistant", (result,), BEGAN)
    await talk.write("message.added", messages=(message,))
    assert await store.message(message.id) == message
    await store.purge(talk.id)
    assert [await store.files.file(f.id) is not None for f in (mine, free)] == [False, True]


@check
async def message_does_not_hold_what_is_anothers(store: Store) -> None:
    theirs = await add(store, a_file(owner="another"))
    talk = await begin(store)
    await mention(talk, theirs)
    await store.purge(talk.id)
    assert await store.files.file(theirs.id) == theirs


@check
async def file_that_a_message_names_can_be_removed(store: Store) -> None:
    file = await add(store, a_file())
    talk = await begin(store)
    message = await mention(talk, file)
    assert await store.files.drop(file.id)
    assert await store.message(message.id) == message
    await store.purge(talk.id)


@check
async def content_is_needed_until_its_last_file_is_gone(store: Store) -> None:
    first, second = a_file(b"same"), a_file(b"same")
    await add(store, first, second)
    await store.files.drop(first.id)
    assert list(await store.files.doomed(minutes(60), 10)) == []
    await store.files.drop(second.id)
    assert list(await store.files.doomed(minutes(60), 10)) == [first.sha256]


@check
async def content_is_kept_for_an_upload_until_its_time_is_over(store: Store) -> None:
    digest = a_file().sha256
    assert list(await store.files.keep([digest], minutes(2))) == []
    assert list(await store.files.doomed(minutes(1), 10)) == []
    assert list(await store.files.keep([digest], minutes(5))) == []
    assert list(await store.files.doomed(minutes(3), 10)) == []
    assert list(await store.files.doomed(minutes(6), 10)) == [digest]


@check
async def doomed_content_is_not_kept_before_it_is_forgotten(store: Store) -> None:
    file = a_file()
    await store.files.keep([file.sha256], minutes(2))
    for _ in range(2):  # The same until it is forgotten, so that a crash in between loses nothing.
        assert list(await store.files.doomed(minutes(3), 10)) == [file.sha256]
    assert list(await store.files.keep([file.sha256], minutes(60))) == [file.sha256]
    try:
        await store.files.add("an upload", [file])
    except StorageError:
        pass
    else:
        raise AssertionError("a row names content that is being removed")
    await store.files.forget([file.sha256])
    assert list(await store.files.keep([file.sha256], minutes(60))) == []
    await store.files.add("an upload", [file])


@check
async def content_of_variants_is_needed_too(store: Store) -> None:
    file = await add(store, a_file(b"image"))
    small = hashlib.sha256(b"small").hexdigest()
    await store.files.keep([small], minutes(2))
    variant = Variant("thumbnail", small, 5, "image/png", 1, 1)
    await store.files.learn(msgspec.structs.replace(file, variants=(variant,)), None)
    assert list(await store.files.doomed(minutes(60), 10)) == []
    await store.files.drop(file.id)
    assert sorted(await store.files.doomed(minutes(60), 10)) == sorted([file.sha256, small])


@check
async def forgetting_spares_what_is_not_doomed(store: Store) -> None:
    file = await add(store, a_file())
    await store.files.forget([file.sha256])
    await store.files.drop(file.id)
    assert list(await store.files.doomed(minutes(60), 10)) == [file.sha256]


@check
async def owner_is_removed_in_steps(store: Store) -> None:
    await add(store, *(a_file(str(n).encode()) for n in range(5)), a_file(b"x", owner="another"))
    assert [await store.files.drop_owner("owner", 2) for _ in range(4)] == [2, 2, 1, 0]
    assert (await store.files.space("another", BEGAN)).files == 1
    assert await store.files.space("owner", BEGAN + timedelta(days=1)) == Space(0, 0, 0)


@check
async def folder_is_bound_once(store: Store) -> None:
    assert await store.files.folder("first") == ("first", False)
    await add(store, a_file())
    assert await store.files.folder("second") == ("first", True)
