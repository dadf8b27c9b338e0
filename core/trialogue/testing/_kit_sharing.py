"""Store checks: conversations that begin with a history, all branches, the trash, links and imports."""

from __future__ import annotations

import msgspec

from trialogue._deciding.commands import Receipt
from trialogue._facts.errors import ConflictError, InvalidError, NotFoundError
from trialogue._facts.events import Entry
from trialogue._facts.ids import new_id
from trialogue._facts.values import Conversation, Message, TextPart
from trialogue._lists.imports import ImportJob
from trialogue._lists.sharing import Share
from trialogue._search.search import SearchQuery
from trialogue._storage.store import Done, History, Store
from trialogue.testing._kit_making import BEGAN, FIRST, NODE, StoreCheck, Talk, begin, checks_in, minutes

SHARING_CHECKS: list[StoreCheck] = []
check = checks_in(SHARING_CHECKS)


def told(conversation: str, count: int) -> tuple[Conversation, History]:
    """A conversation of ``count`` messages, one below the other."""
    messages: list[Message] = []
    for number in range(count):
        parent = messages[-1].id if messages else None
        messages.append(Message(new_id(), conversation, "user", (TextPart(f"owl{number}"),), BEGAN, parent))
    entries = tuple(Entry(1 + place, 1, "message.added", b'{"type":"message.added"}') for place in range(count))
    header = Conversation(conversation, "owner", BEGAN, BEGAN, head=messages[-1].id, version=count)
    return header, History(entries, tuple(messages), b'{"state":1}')


def done(header: Conversation) -> Done:
    return Done(header.id, b"digest", Receipt(header.version))


@check
async def conversation_begins_with_its_history(store: Store) -> None:
    header, history = told(new_id(), 30)
    assert await store.create(header, NODE, FIRST, done(header), history) == done(header)
    assert [entry.seq for entry in await store.events(header.id, 0, 100)] == list(range(31))
    assert await store.position(header.id) == (0, 31)
    view = await store.view(header.id, 100)
    assert view is not None
    assert (view.header, view.next_seq, view.snapshot) == (header, 31, history.snapshot)
    assert view.messages == history.messages
    assert [hit.id for hit in (await store.index.search("owner", SearchQuery("owl29"), 5)).hits] == [
        history.messages[29].id
    ]
    claim = await store.claim(header.id, "node-b")
    assert claim is not None
    assert (claim.snapshot, claim.snapshot_seq, claim.next_seq) == (history.snapshot, 31, 31)


@check
async def history_is_written_once(store: Store) -> None:
    header, history = told(new_id(), 3)
    await store.create(header, NODE, FIRST, done(header), history)
    again, other = told(header.id, 5)
    assert await store.create(again, NODE, FIRST, done(again), other) == done(header)
    assert await store.position(header.id) == (0, 4)
    assert await store.message(other.messages[0].id) is None


@check
async def history_with_a_taken_id_leaves_nothing(store: Store) -> None:
    talk = await begin(store)
    taken = await talk.say("mine")
    header, history = told(new_id(), 3)
    clash = msgspec.structs.replace(history.messages[2], id=taken.id)
    clashing = msgspec.structs.replace(history, messages=(*history.messages[:2], clash))
    try:
        await store.create(header, NODE, FIRST, done(header), clashing)
    except ConflictError:
        pass
    else:
        raise AssertionError("another conversation's message was taken over")
    assert await store.header(header.id) is None
    assert await store.message(history.messages[0].id) is None
    assert await store.message(taken.id) == taken
    await store.create(header, NODE, FIRST, done(header), history)


@check
async def tree_shows_all_branches_in_pages(store: Store) -> None:
    talk = await begin(store)
    root = await talk.say("root", parent=None)
    twins = [await talk.say(text, parent=root.id) for text in ("left", "right")]
    gone = await talk.say("gone", parent=root.id)
    leaves = [await talk.say(text, parent=twins[0].id) for text in ("a", "b")]
    await talk.write("message.removed", removed=(gone.id,))
    shown: list[Message] = []
    cursor: str | None = None
    for _ in range(10):
        view = await store.tree(talk.id, 2, cursor)
        assert view is not None
        assert (view.header.id, view.next_seq) == (talk.id, talk.next_seq)
        shown += view.messages
        for message in view.messages:
            if message.parent == root.id:
                assert view.siblings[message.id] == (twins[0].id, twins[1].id)
        cursor = view.cursor
        if cursor is None:
            break
    assert shown == [root, *twins, *leaves]
    whole = await store.tree(talk.id, 5)
    assert whole is not None
    assert whole.cursor is None
    assert await store.tree(new_id(), 5) is None
    for odd in ("x", "", "-1", "9" * 40, "\ud800"):
        try:
            await store.tree(talk.id, 5, odd)
        except InvalidError:
            continue
        raise AssertionError(f"{odd!r} was taken for a cursor")


@check
async def onward_goes_down_a_branch(store: Store) -> None:
    talk = await begin(store)
    path = [await talk.say(str(number)) for number in range(6)]
    beside = await talk.say("beside", parent=path[2].id)
    assert list(await store.onward(talk.id, path[5].id, None, 2)) == path[:2]
    assert list(await store.onward(talk.id, path[5].id, path[1].id, 2)) == path[2:4]
    assert list(await store.onward(talk.id, path[5].id, path[4].id, 9)) == path[5:]
    assert list(await store.onward(talk.id, path[5].id, path[5].id, 9)) == []
    assert list(await store.onward(talk.id, beside.id, path[1].id, 9)) == [path[2], beside]
    assert list(await store.onward(talk.id, path[5].id, beside.id, 9)) == []
    assert list(await store.onward(talk.id, new_id(), None, 9)) == []
    assert list(await store.onward(new_id(), path[5].id, None, 9)) == []


@check
async def trash_is_a_list_of_its_own(store: Store) -> None:
    kept = await begin(store, updated_at=minutes(9))
    old = await begin(store, updated_at=minutes(1))
    young = await begin(store, updated_at=minutes(2), archived=True)
    await old.change(deleted_at=minutes(3), updated_at=minutes(3))
    await young.change(deleted_at=minutes(4), updated_at=minutes(4))
    listed = await store.conversations("owner", limit=9, archived=None, trashed=True)
    assert listed.conversations == (young.header, old.header)
    first = await store.conversations("owner", limit=1, archived=None, trashed=True)
    rest = await store.conversations("owner", limit=1, archived=None, trashed=True, cursor=first.cursor)
    assert first.conversations + rest.conversations == listed.conversations
    assert (await store.conversations("another", limit=9, trashed=True)).conversations == ()
    assert list(await store.trash(minutes(4), 9)) == [old.id]
    assert list(await store.trash(minutes(9), 1)) == [old.id]
    assert list(await store.trash(minutes(20), 9)) == [old.id, young.id]
    assert (await store.conversations("owner", limit=9)).conversations == (kept.header,)


@check
async def purge_of_the_trash_spares_what_was_restored(store: Store) -> None:
    talk = await begin(store, updated_at=minutes(1))
    await talk.change(deleted_at=minutes(2), updated_at=minutes(2))
    assert await store.purge(talk.id, minutes(2)) is False
    await talk.change(deleted_at=None)
    assert await store.purge(talk.id, minutes(9)) is False
    assert await store.header(talk.id) == talk.header
    await talk.change(deleted_at=minutes(2))
    assert await store.purge(talk.id, minutes(9)) is True
    assert await store.header(talk.id) is None
    assert await store.purge(talk.id) is False


def link(talk: Talk, **fields: object) -> Share:
    values: dict[str, object] = {"id": new_id(), "token": new_id() * 2, "conversation": talk.id, "message": new_id()}
    return msgspec.convert({**values, "created_at": BEGAN, **fields}, Share)


@check
async def share_comes_back_as_it_was(store: Store) -> None:
    talk = await begin(store)
    share = link(talk, title="Owls", expires_at=minutes(5), lengths=(3, None), revision=2)
    assert await store.shares.add(share) == share
    assert await store.shares.add(link(talk, id=share.id)) == share
    other = await store.shares.add(link(talk))
    assert await store.shares.find(share.token) == share
    assert await store.shares.find("nothing") is None
    assert list(await store.shares.of(talk.id)) == [share, other]
    assert list(await store.shares.of(new_id())) == []


@check
async def share_with_anothers_id_is_not_theirs(store: Store) -> None:
    talk, another = await begin(store), await begin(store)
    share = await store.shares.add(link(talk))
    try:
        await store.shares.add(link(another, id=share.id))
    except NotFoundError:
        pass
    else:
        raise AssertionError("the link of another conversation was given out, or taken over")
    assert list(await store.shares.of(another.id)) == []
    assert list(await store.shares.of(talk.id)) == [share]


@check
async def share_ends_when_told(store: Store) -> None:
    talk, another = await begin(store), await begin(store)
    share = await store.shares.add(link(talk))
    assert await store.shares.drop(another.id, share.id) is False
    assert await store.shares.drop(talk.id, share.id) is True
    assert await store.shares.drop(talk.id, share.id) is False
    assert await store.shares.find(share.token) is None


@check
async def share_ends_with_its_conversation(store: Store) -> None:
    trashed, purged = await begin(store), await begin(store)
    shares = [await store.shares.add(link(talk)) for talk in (trashed, purged)]
    await trashed.change(deleted_at=minutes(1))
    await store.purge(purged.id)
    for share in shares:
        assert await store.shares.find(share.token) is None
        try:
            await store.shares.add(share)
        except NotFoundError:
            continue
        raise AssertionError("a link was made to what is not there")
    await trashed.change(deleted_at=None)
    assert await store.shares.find(shares[0].token) is None
    assert list(await store.shares.of(trashed.id)) == []


@check
async def import_is_kept_and_a_cancel_is_final(store: Store) -> None:
    job = ImportJob(new_id(), "owner", BEGAN, BEGAN, 10)
    assert await store.imports.put(job)
    running = msgspec.structs.replace(job, state="running", added=3)
    other = ImportJob(new_id(), "owner", BEGAN, BEGAN, 10, state="done")
    assert await store.imports.put(running)
    assert await store.imports.put(other)
    assert await store.imports.get(job.id) == running
    assert await store.imports.get(new_id()) is None
    assert list(await store.imports.of("owner", 9)) == [other, running]
    assert list(await store.imports.of("owner", 1)) == [other]
    assert list(await store.imports.of("another", 9)) == []
    assert list(await store.imports.unfinished()) == [running]
    assert await store.imports.put(msgspec.structs.replace(running, state="cancelled"))
    assert await store.imports.put(msgspec.structs.replace(running, added=4)) is False
    assert list(await store.imports.unfinished()) == []


@check
async def imports_are_forgotten(store: Store) -> None:
    jobs = [ImportJob(new_id(), "owner", BEGAN, BEGAN, 1, state="done") for _ in range(105)]
    waiting = ImportJob(new_id(), "owner", BEGAN, BEGAN, 1)
    other = ImportJob(new_id(), "another", BEGAN, BEGAN, 1)
    for job in (waiting, other, *jobs):
        await store.imports.put(job)
    kept = await store.imports.of("owner", 200)
    assert [job.id for job in kept] == [job.id for job in (*reversed(jobs[5:]), waiting)]
    await store.imports.forget("owner")
    await store.imports.forget("nobody")
    assert list(await store.imports.of("owner", 9)) == []
    assert list(await store.imports.unfinished()) == [other]
