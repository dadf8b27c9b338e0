"""Store checks: several nodes over one store. A store that belongs to one process has nothing to be checked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import trio

from trialogue._cluster.nodes import Kept, Load, NodeInfo, Nodes, Owner, Position
from trialogue._facts.ids import new_id
from trialogue._storage.store import Claim, Store
from trialogue.testing._kit_making import StoreCheck, begin, checks_in

NODE_CHECKS: list[StoreCheck] = []
_check = checks_in(NODE_CHECKS)

#: Seconds of a lease that holds throughout, and of one that is soon over.
LONG, SHORT = 60.0, 0.05


def check(function: Callable[[Store, Nodes], Awaitable[None]]) -> StoreCheck:
    """As in the other files; the facet is there."""

    async def with_nodes(store: Store) -> None:
        if store.nodes is not None:
            await function(store, store.nodes)

    with_nodes.__name__ = function.__name__
    return _check(with_nodes)


def info(name: str) -> NodeInfo:
    """A node."""
    return NodeInfo(new_id(), name, f"http://{name}.example:4512", "0", datetime(2026, 3, 1, tzinfo=UTC))


async def alive(nodes: Nodes, name: str, seconds: float = LONG) -> NodeInfo:
    """A node with a lease."""
    node = info(name)
    await nodes.renew(node, Load(), seconds)
    return node


async def dead(nodes: Nodes, name: str) -> NodeInfo:
    """A node whose lease is over."""
    node = await alive(nodes, name, SHORT)
    await trio.sleep(2 * SHORT)
    return node


@check
async def node_is_listed_with_its_lease_and_its_load(store: Store, nodes: Nodes) -> None:
    one, other = await alive(nodes, "one"), await dead(nodes, "other")
    await nodes.renew(one, Load(draining=True, active=3, running=2), LONG)
    found = await nodes.members()
    members = {member.node.id: member for member in found.nodes}
    assert members[one.id].node == one
    assert members[one.id].load == Load(draining=True, active=3, running=2)
    assert LONG - 10 < members[one.id].lease <= LONG
    assert members[one.id].alive
    assert members[other.id].lease <= 0
    assert not members[other.id].alive
    assert found.generation == store.generation
    await nodes.leave(one.id)
    await nodes.leave(one.id)
    assert one.id not in {member.node.id for member in (await nodes.members()).nodes}


@check
async def renewal_tells_whether_the_lease_was_over(store: Store, nodes: Nodes) -> None:
    node = info("one")
    assert (await nodes.renew(node, Load(), LONG)).lapsed
    renewal = await nodes.renew(node, Load(), SHORT)
    assert not renewal.lapsed
    assert renewal.at.tzinfo is not None
    await trio.sleep(2 * SHORT)
    assert (await nodes.renew(node, Load(), LONG)).lapsed
    await nodes.leave(node.id)
    assert (await nodes.renew(node, Load(), LONG)).lapsed


@check
async def renewer_renews_from_a_thread(store: Store, nodes: Nodes) -> None:
    node = info("one")
    renewer = nodes.renewer(node, LONG)
    if renewer is None:
        return
    try:
        first = await trio.to_thread.run_sync(renewer.renew, Load())
        again = await trio.to_thread.run_sync(renewer.renew, Load(active=1))
    finally:
        renewer.close()
    assert first.lapsed
    assert not again.lapsed
    assert again.at >= first.at
    (found,) = [member for member in (await nodes.members()).nodes if member.node.id == node.id]
    assert found.load == Load(active=1)


@check
async def claim_leaves_what_a_living_node_owns(store: Store, nodes: Nodes) -> None:
    one, other = await alive(nodes, "one"), await alive(nodes, "other")
    talk = await begin(store, node="")
    claim = await nodes.claim(talk.id, one.id)
    assert isinstance(claim, Claim)
    assert (claim.epoch, claim.next_seq, claim.header) == (2, 1, talk.header)
    assert await nodes.claim(talk.id, other.id) == Owner(one.id, 2)
    again = await nodes.claim(talk.id, one.id)
    assert isinstance(again, Claim)
    assert again.epoch == 3
    assert await nodes.claim(new_id(), one.id) is None


@check
async def claim_takes_what_a_dead_node_owned(store: Store, nodes: Nodes) -> None:
    gone, one = await dead(nodes, "gone"), await alive(nodes, "one")
    talk, unheard_of = await begin(store, node=gone.id), await begin(store, node="never listed")
    for name in (talk.id, unheard_of.id):
        claim = await nodes.claim(name, one.id)
        assert isinstance(claim, Claim)
        assert claim.epoch == 2
    assert list(await store.append([talk.flush("usage")])) == ["fenced"]


@check
async def of_many_who_claim_at_once_one_owns_it(store: Store, nodes: Nodes) -> None:
    gone = await dead(nodes, "gone")
    rivals = [await alive(nodes, name) for name in ("one", "two", "three")]
    talk = await begin(store, node=gone.id)
    found: list[Claim | Owner | None] = []

    async def contend(node: NodeInfo) -> None:
        found.append(await nodes.claim(talk.id, node.id))

    async with trio.open_nursery() as nursery:
        for rival in rivals:
            nursery.start_soon(contend, rival)
    assert [type(one).__name__ for one in sorted(found, key=lambda one: isinstance(one, Owner))] == [
        "Claim",
        "Owner",
        "Owner",
    ]


@check
async def what_is_released_may_be_claimed_and_epochs_stay(store: Store, nodes: Nodes) -> None:
    one, other = await alive(nodes, "one"), await alive(nodes, "other")
    talk, later = await begin(store, node=one.id), await begin(store, node=one.id)
    await nodes.claim(later.id, one.id)
    await nodes.release(one.id, {talk.id: 1, later.id: 1, new_id(): 1})
    assert isinstance(await nodes.claim(talk.id, other.id), Claim)
    assert await nodes.claim(later.id, other.id) == Owner(one.id, 2)
    await nodes.release(other.id, {later.id: 2})
    assert await nodes.claim(later.id, other.id) == Owner(one.id, 2)
    assert list(await store.append([talk.flush("usage")])) == ["fenced"]
    await nodes.release(one.id, {})


@check
async def node_that_left_owns_nothing(store: Store, nodes: Nodes) -> None:
    one, other = await alive(nodes, "one"), await alive(nodes, "other")
    talk = await begin(store, node=one.id)
    await nodes.leave(one.id)
    assert isinstance(await nodes.claim(talk.id, other.id), Claim)


@check
async def abandoned_is_what_is_unfinished_and_nobodys(store: Store, nodes: Nodes) -> None:
    gone, one = await dead(nodes, "gone"), await alive(nodes, "one")
    talks = [await begin(store, node=node) for node in (gone.id, one.id, gone.id, "")]
    for talk in (talks[0], talks[1], talks[3]):
        await talk.write("run.started", snapshot=b"s", unfinished=True)
    assert set(await nodes.abandoned(10)) == {talks[0].id, talks[3].id}
    assert len(await nodes.abandoned(1)) == 1
    await nodes.keep(Kept(talks[2].id, "command", b"{}"))
    assert set(await nodes.abandoned(10)) == {talks[0].id, talks[2].id, talks[3].id}
    assert isinstance(await nodes.claim(talks[0].id, one.id), Claim)
    assert set(await nodes.abandoned(10)) == {talks[2].id, talks[3].id}


@check
async def positions_and_entries_of_many_are_read_at_once(store: Store, nodes: Nodes) -> None:
    one, other = await begin(store, node="a"), await begin(store, node="b")
    await one.write("usage", "usage")
    assert await nodes.positions([one.id, other.id, new_id()]) == {
        one.id: Position("a", 1, 3),
        other.id: Position("b", 1, 1),
    }
    assert await nodes.positions([]) == {}
    found = await nodes.follow({one.id: 1, other.id: 1, new_id(): 0}, 10)
    assert list(found[one.id]) == list(await store.events(one.id, 1, 10))
    assert not found[other.id]
    short = await nodes.follow({other.id: 0, one.id: 0}, 2)
    assert [[entry.seq for entry in short[talk.id]] for talk in (one, other)] == [[0, 1], [0]]


@check
async def kept_command_waits_for_the_owner_and_is_settled_once(store: Store, nodes: Nodes) -> None:
    one = await alive(nodes, "one")
    talk = await begin(store, node="")
    first, second = Kept(talk.id, "first", b"{}"), Kept(talk.id, "second", b"[]")
    for kept in (first, second, first):
        await nodes.keep(kept)
    await nodes.keep(Kept(new_id(), "lost", b""))
    assert list(await nodes.kept(one.id, 10)) == []
    await nodes.claim(talk.id, one.id)
    assert list(await nodes.kept(one.id, 10)) == [first, second]
    assert list(await nodes.kept(one.id, 1)) == [first]
    assert await nodes.outcome(talk.id, "first") is None
    await nodes.settle(talk.id, "first", b"done")
    assert list(await nodes.kept(one.id, 10)) == [second]
    assert await nodes.outcome(talk.id, "first") == b"done"
    await nodes.drop(talk.id, "first")
    await nodes.drop(talk.id, "first")
    assert await nodes.outcome(talk.id, "first") is None
    await store.purge(talk.id)
    assert list(await nodes.kept(one.id, 10)) == []


@check
async def what_is_said_is_heard_by_all_who_listen(store: Store, nodes: Nodes) -> None:
    heard: list[list[bytes]] = [[], []]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(nodes.bus.run)

        async def listen(place: int, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            with nodes.bus.listen() as ear:
                assert await ear.hear() is None, "what was said before may be missing"
                task_status.started()
                while True:
                    message = await ear.hear()
                    if message is not None:
                        heard[place].append(message)

        for place in (0, 1):
            await nursery.start(listen, place)
        with trio.fail_after(10):
            # Who speaks before the other side listens is not heard.
            while not all(heard):
                nodes.bus.say(b'{"n": 1, "text": "\xc3\xa9"}')
                await trio.sleep(0.05)
        nursery.cancel_scope.cancel()
    assert set(heard[0]) == set(heard[1]) == {b'{"n": 1, "text": "\xc3\xa9"}'}
