"""What deleted accounts leave goes, whatever happens on the way; and what is old in the audit log, and among invitations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import trio
from msgspec.structs import replace
from support import open_talk
from trio.testing import MockClock

from trialogue import Engine, Invitation, Limits, NotFoundError, Origin, StorageError, User, new_id, open_engine
from trialogue.testing import Fault, MemoryStore, ScriptedProvider

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """The time of day, as far as it has come since the test began."""

    def __call__(self) -> datetime:
        return BEGAN + timedelta(seconds=trio.current_time())


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(now=Clock())


async def leaver(store: MemoryStore, engine: Engine, talks: int = 3) -> User:
    """Somebody with conversations, one of them in the trash and one being answered, who is deleted."""
    await store.accounts.add_user(User(new_id(), "root@example.org", "Root", "admin", BEGAN), "hash")
    user = await store.accounts.add_user(User(new_id(), "eve@example.org", "Eve", "user", BEGAN), "hash")
    for number in range(talks):
        talk = await open_talk(engine, owner=user.id)
        if number == 0:
            await talk.post("Hello")
            await talk.until("run.started")
    await store.accounts.remove_user(user.id)
    return user


async def test_everything_it_owned_goes_at_once(autojump_clock: MockClock, store: MemoryStore) -> None:
    provider = ScriptedProvider(["a", trio.Event()])
    async with open_engine(store, [provider], now=Clock()) as engine:
        kept = await open_talk(engine, owner="ann")
        user = await leaver(store, engine)
        watched = (await store.accounts.owned(user.id, 1))[0]
        engine.clearing.poke()
        await trio.sleep(1)
        assert await store.accounts.owned(user.id, 10) == []
        assert await store.header(kept.id) is not None
        with pytest.raises(NotFoundError):
            await engine.snapshot(watched)


async def test_what_one_process_left_the_next_one_clears(autojump_clock: MockClock, store: MemoryStore) -> None:
    async with open_engine(store, [ScriptedProvider(["a"])], now=Clock()) as engine:
        user = await leaver(store, engine)
    assert len(await store.accounts.owned(user.id, 10)) == 3
    async with open_engine(store, [ScriptedProvider(["a"])], now=Clock()):
        await trio.sleep(1)
        assert await store.accounts.owned(user.id, 10) == []


async def test_store_in_trouble_only_puts_it_off(autojump_clock: MockClock, store: MemoryStore) -> None:
    async with open_engine(store, [ScriptedProvider(["a"])], now=Clock()) as engine:
        user = await leaver(store, engine)
        for call in ("deletions", "owned", "purge"):
            store.faults.next(call, Fault(fail="before"))
        engine.clearing.poke()
        await trio.sleep(300)
        assert await store.accounts.owned(user.id, 10) == []


async def test_conversation_begun_at_the_last_moment_goes_too(autojump_clock: MockClock, store: MemoryStore) -> None:
    """By a request that was under way; and in the end nothing is remembered of the account."""
    async with open_engine(store, [ScriptedProvider(["a"])], now=Clock()) as engine:
        user = await leaver(store, engine)
        engine.clearing.poke()
        await trio.sleep(1)
        await open_talk(engine, owner=user.id)
        await trio.sleep(120)
        assert await store.accounts.owned(user.id, 10) == []
        assert [deletion.user for deletion in await store.accounts.deletions()] == [user.id]
        await trio.sleep(2 * 3600)
        assert await store.accounts.deletions() == []


async def test_other_kinds_go_after_the_conversations(autojump_clock: MockClock, store: MemoryStore) -> None:
    """A purger that fails is asked again, and holds up nobody else's account."""
    async with open_engine(store, [ScriptedProvider(["a"])], now=Clock()) as engine:
        asked: list[tuple[str, int]] = []

        async def purge_files(user: str) -> None:
            asked.append((user, len(await store.accounts.owned(user, 10))))
            if len(asked) == 1:
                raise StorageError("the disk is away")

        engine.clearing.also.append(purge_files)
        first = await leaver(store, engine)
        second = await store.accounts.add_user(User(new_id(), "bob@example.org", "Bob", "user", BEGAN), "hash")
        await store.accounts.remove_user(second.id)
        engine.clearing.poke()
        await trio.sleep(1)
        assert asked == [(first.id, 0), (second.id, 0)]
        await trio.sleep(60)
        assert asked[2] == (first.id, 0)


async def test_old_audit_entries_go(autojump_clock: MockClock, store: MemoryStore) -> None:
    entries = [replace(Origin().entry("login"), at=BEGAN - timedelta(days=days)) for days in (9, 8, 6, 0)]
    await store.accounts.note(entries)
    async with open_engine(store, [ScriptedProvider(["a"])], Limits(audit=7 * 86_400), now=Clock()):
        await trio.sleep(1)
        assert (await store.accounts.audit(limit=9)).entries == (entries[3], entries[2])
        await trio.sleep(2 * 86_400)
        assert (await store.accounts.audit(limit=9)).entries == (entries[3],)


async def test_old_invitations_go(autojump_clock: MockClock, store: MemoryStore) -> None:
    ends = [BEGAN + timedelta(days=days) for days in (-8, -6, 20)]
    for n, end in enumerate(ends):
        made = Invitation(new_id(), bytes([n]) * 32, "user", new_id(), BEGAN - timedelta(days=20), end)
        await store.accounts.add_invitation(made)
    async with open_engine(store, [ScriptedProvider(["a"])], Limits(invitations=7 * 86_400), now=Clock()):
        await trio.sleep(1)
        assert {one.expires_at for one in (await store.accounts.invitations(limit=9)).invitations} == {ends[2], ends[1]}
        await trio.sleep(2 * 86_400)
        assert [one.expires_at for one in (await store.accounts.invitations(limit=9)).invitations] == [ends[2]]
