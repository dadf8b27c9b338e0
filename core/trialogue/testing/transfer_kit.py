"""Checks for what takes rows out of a store and into it: some of everything a store holds, and what comes out of it again.

async with open_store() as store:
    await fill(store)
await move(transfer, other)          # raises AssertionError unless ``other`` then gives the same rows
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from trialogue._accounts.account_values import Identity, Reset
from trialogue._facts.ids import new_id
from trialogue._facts.values import Location
from trialogue._lists.imports import ImportJob
from trialogue._paying.ledger import SpendingBudget
from trialogue._storage.store import Store
from trialogue._storage.transfer import Transfer
from trialogue.testing._kit_access import ORIGIN, invitation_of, key_of, two
from trialogue.testing._kit_accounts import device
from trialogue.testing._kit_files import a_file, add, mention
from trialogue.testing._kit_ledger import granting, run_of, spend
from trialogue.testing._kit_making import BEGAN, Talk, begin, minutes
from trialogue.testing._kit_sharing import link


async def fill(store: Store) -> Talk:
    """Write some of everything; returns a conversation that still has a run."""
    await _fill_accounts(store)
    await store.files.folder("a folder")
    talk = await begin(store, title="Owls and other birds")
    await _fill_talk(talk)
    await _fill_files(store, talk)
    await _fill_ledger(store, talk)
    await store.shares.add(link(talk))
    await store.imports.put(ImportJob(new_id(), "owner", BEGAN, BEGAN, 10))
    gone = await begin(store, owner="another")
    await gone.change(deleted_at=BEGAN, folder="old", archived=True)
    return talk


async def _fill_accounts(store: Store) -> None:
    root, user = await two(store)
    accounts, soon = store.accounts, datetime.now(UTC) + timedelta(hours=1)
    await accounts.add_session(device(user))
    await accounts.add_key(key_of(user))
    await accounts.add_invitation(invitation_of(root))
    await accounts.add_reset(Reset(user.id, b"r" * 32, soon), (ORIGIN.entry("password.reset_offered", user.id),))
    await accounts.add_identity(user.id, Identity("https://issuer", "subject"))
    other = msgspec.structs.replace(user, id=new_id(), email="gone@example.org")
    await accounts.add_user(other, None)
    await accounts.remove_user(other.id, (ORIGIN.entry("account.deleted", other.id, detail='é \\ "'),))


async def _fill_talk(talk: Talk) -> None:
    first = await talk.say("What does an owl eat? Ünïcode \U0001f989", location=Location(48.1, 11.5))
    branch = await talk.say("Mice", role="assistant", parent=first.id, model="echo:echo")
    await talk.say("Voles", role="assistant", parent=first.id)
    await talk.write("message.removed", removed=(branch.id,))
    await talk.write("inbox.added", waiting=(new_id(),), unfinished=True)
    await talk.write("part.delta", "part.delta", snapshot=b'{"state": "\\u00fc"}')
    await talk.claim("node-b")
    await talk.write("part.ended")


async def _fill_files(store: Store, talk: Talk) -> None:
    file = await add(store, a_file(b"a photo", lat=1.5, lon=-2.5, taken_at=minutes(-5)), a_file(b"a note"))
    await store.files.learn(file, "what the note says")
    await mention(talk, file)
    await store.files.keep(["ab" * 32], minutes(9))


async def _fill_ledger(store: Store, talk: Talk) -> None:
    await spend(talk)
    await spend(talk, None, key="a key")
    live = await run_of(talk)
    await store.ledger.reserve(talk.header.owner, live.run, granting(7, 8))
    await store.ledger.set_budget("user", "owner", SpendingBudget(5, None))


async def read(transfer: Transfer) -> tuple[bytes, bytes]:
    """A whole dump: its first line, and the others."""
    async with transfer.dump() as chunks:
        lines = b"".join([chunk async for chunk in chunks])
    first, _, others = lines.partition(b"\n")
    return first, others


async def move(source: Transfer, target: Transfer) -> int:
    """All rows from one into the other, which then gives the same; returns its generation."""
    async with source.dump() as chunks, target.load("a folder") as loader:
        async for chunk in chunks:
            await loader.put(chunk)
    assert (await read(source))[1] == (await read(target))[1]
    return loader.generation
