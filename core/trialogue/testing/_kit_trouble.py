"""Store checks: cancellation anywhere, and what is still there after the store was closed and opened again."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from functools import partial

import trio

from trialogue._accounts.account_values import Identity, Reset, UserChange
from trialogue._accounts.audit import Origin
from trialogue._deciding.commands import Receipt
from trialogue._facts.ids import new_id
from trialogue._search.search import SearchQuery
from trialogue._storage.store import Done, Store
from trialogue.testing._kit_access import invitation_of, key_of
from trialogue.testing._kit_accounts import device, someone
from trialogue.testing._kit_making import OpenStore, StoreCheck, Talk, begin, checks_in, creation, minutes, numbers

TROUBLE_CHECKS: list[StoreCheck] = []
check = checks_in(TROUBLE_CHECKS)


async def cancelled(call: Callable[[], Awaitable[object]], steps: int) -> bool:
    """Make the call and cancel it after so many turns of the loop. Whether it returned all the same."""
    returned = False

    async def run() -> None:
        nonlocal returned
        await call()
        returned = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    return returned


@check
async def cancelled_append_happened_or_did_not(store: Store) -> None:
    """Whichever it was, its retry settles it, and nothing is there twice."""
    source, talk = random.Random(1), await begin(store)
    for count in range(60):
        flush = talk.flush("usage", done=(Done(f"command {count}", b"d", Receipt(count)),))
        returned = await cancelled(partial(store.append, [flush]), source.randrange(8))
        assert not returned or await store.receipt(talk.id, f"command {count}") is not None
        assert list(await store.append([flush])) == ["committed"]
        talk.wrote(flush)
    assert await numbers(talk) == list(range(61))


@check
async def cancelled_create_happened_or_did_not(store: Store) -> None:
    source = random.Random(2)
    for _ in range(30):
        talk = Talk(store, (await begin(store)).header, "node-a")
        await store.purge(talk.id)
        steps = source.randrange(8)
        await cancelled(partial(begin, store, id=talk.id), steps)
        again = await begin(store, id=talk.id)
        await again.write("usage")
        assert await numbers(again) == [0, 1]


@check
async def cancelled_claim_leaves_one_owner(store: Store) -> None:
    source, talk = random.Random(3), await begin(store)
    for count in range(30):
        await cancelled(partial(store.claim, talk.id, f"node-{count}"), source.randrange(8))
        await talk.claim(f"again-{count}")
        await talk.write("usage")
    assert await numbers(talk) == list(range(31))


def calls_on(store: Store, talk: Talk, message: str) -> list[Callable[[], Awaitable[object]]]:
    """Every other call of the port."""
    user = someone("a@example.org")
    return [
        lambda: store.events(talk.id, 0, 100),
        lambda: store.position(talk.id),
        lambda: store.receipt(talk.id, talk.id),
        lambda: store.unfinished("node-b"),
        lambda: store.prune(minutes(-60), 10),
        lambda: store.purge(new_id()),
        lambda: store.header(talk.id),
        lambda: store.view(talk.id, 50),
        lambda: store.conversations("owner", limit=10),
        lambda: store.conversations("owner", limit=10, text="message"),
        lambda: store.message(message),
        lambda: store.message_view(message),
        lambda: store.path(talk.id, message, 50),
        lambda: store.is_above(talk.id, message, message),
        lambda: store.leaf(talk.id, message),
        lambda: store.siblings(talk.id, [message]),
        lambda: store.index.search("owner", SearchQuery("message"), 10),
        lambda: store.accounts.add_user(someone(f"{new_id()}@example.org"), "hash"),
        lambda: store.accounts.has_users(),
        lambda: store.accounts.user(user.id),
        lambda: store.accounts.user_secret(user.email),
        lambda: store.accounts.change_secret(user.id, "hash"),
        lambda: store.accounts.add_session(device(user, token=new_id().encode())),
        lambda: store.accounts.session(b"t" * 32),
        lambda: store.accounts.touch_session(new_id(), minutes(0), minutes(1)),
        lambda: store.accounts.drop_session(new_id()),
        lambda: store.accounts.user_by_email(user.email),
        lambda: store.accounts.users(limit=5),
        lambda: store.accounts.set_user(user.id, UserChange(name="x")),
        lambda: store.accounts.remove_user(new_id()),
        lambda: store.accounts.renew_secret(user.id, "old", "new"),
        lambda: store.accounts.add_reset(Reset(user.id, b"r", minutes(1))),
        lambda: store.accounts.reset(b"r"),
        lambda: store.accounts.use_reset(b"r", "hash"),
        lambda: store.accounts.identity("issuer", "subject"),
        lambda: store.accounts.add_identity(user.id, Identity("issuer", "subject")),
        lambda: store.accounts.sessions(user.id),
        lambda: store.accounts.add_key(key_of(user, new_id().encode())),
        lambda: store.accounts.key(b"k" * 32),
        lambda: store.accounts.key_by_id(new_id()),
        lambda: store.accounts.keys(user.id),
        lambda: store.accounts.touch_key(new_id(), minutes(0)),
        lambda: store.accounts.drop_key(new_id()),
        lambda: store.accounts.add_invitation(invitation_of(user, new_id().encode())),
        lambda: store.accounts.invitation(b"i" * 32),
        lambda: store.accounts.invitations(limit=5),
        lambda: store.accounts.drop_invitation(new_id()),
        lambda: store.accounts.drop_old_invitations(minutes(-60), 5),
        lambda: store.accounts.drop_expired_sessions(5),
        lambda: store.accounts.note((Origin().entry("login"),)),
        lambda: store.accounts.audit(limit=5),
        lambda: store.accounts.drop_audit(minutes(-60), 5),
        lambda: store.accounts.deletions(),
        lambda: store.accounts.owned(user.id, 5),
        lambda: store.accounts.forget_deletion(new_id()),
        lambda: store.check(),
    ]


@check
async def any_call_may_be_cancelled(store: Store) -> None:
    source, talk = random.Random(4), await begin(store)
    messages = [await talk.say(f"message {count}") for count in range(20)]
    for call in calls_on(store, talk, messages[-1].id):
        for _ in range(6):
            await cancelled(call, source.randrange(8))
        view = await store.view(talk.id, 50)
        assert view is not None
        assert view.messages == tuple(messages)
    await talk.write("usage")


@check
async def every_call_is_a_checkpoint(store: Store) -> None:
    talk = await begin(store)
    message = await talk.say("message")
    flush = talk.flush("usage")
    writes: list[Callable[[], Awaitable[object]]] = [
        partial(store.append, [flush]),
        partial(store.claim, talk.id, "node-b"),
    ]
    for call in [*calls_on(store, talk, message.id), *writes]:
        with trio.CancelScope() as scope:
            scope.cancel()
            await call()
        assert scope.cancelled_caught
    await talk.write("usage")  # None of them began.


async def what_was_written_survives_reopening(open_store: OpenStore) -> None:
    async with open_store() as store:
        talk = await begin(store, title="Kept")
        message = await talk.say("an owl")
        await talk.write("run.started", unfinished=True, snapshot=b"state")
        user = await store.accounts.add_user(someone("a@example.org"), "hash")
        session = device(user)
        await store.accounts.add_session(session)
        generation = store.generation
    async with open_store() as store:
        assert store.generation == generation
        talk.store = store
        assert await numbers(talk) == [0, 1, 2]
        assert await store.header(talk.id) == talk.header
        assert await store.message(message.id) == message
        assert await store.receipt(talk.id, talk.id) == creation(talk.header)
        assert list(await store.unfinished("node-b")) == [talk.id]
        assert [hit.id for hit in (await store.index.search("owner", SearchQuery("owl"), 5)).hits] == [message.id]
        assert await store.accounts.session(session.token_hash) == (session, user)
        await talk.claim("node-b")
        await talk.write("usage")


async def closing_waits_for_what_was_begun(open_store: OpenStore) -> None:
    async with open_store() as store:
        talks = [await begin(store) for _ in range(10)]
        async with trio.open_nursery() as nursery:
            for talk in talks:
                nursery.start_soon(talk.write, "usage")
    async with open_store() as store:
        for talk in talks:
            talk.store = store
            assert await numbers(talk) == [0, 1]


TROUBLE_CHECKS.extend([what_was_written_survives_reopening, closing_waits_for_what_was_begun])
