"""Several nodes over one store: commands reach the owner, readers read anywhere, and what a dead node left is taken up."""

from __future__ import annotations

import msgspec
import pytest
import trio
import trio.testing
from clustering import Node, SharedProvider, open_nodes
from support import Talk, fold, open_talk

from trialogue import (
    ClosedError,
    ConflictError,
    NotFoundError,
    Receipt,
    RunCompleted,
    RunInterrupted,
    UnreachableError,
    UpdateConversation,
    decode_event,
    frame,
    new_id,
)
from trialogue.testing import Fault, MemoryStore, Pause, Script, Step

ON: list[Step] = [Pause(0.5), " and on"]
LONG: Script = ["begin", *ON * 60]
#: The same from a faster model: it goes on from wherever it is asked to.
QUICK: Script = ["begin", *[" and on"] * 60]


def at(node: Node, talk: Talk) -> Talk:
    """The same conversation, asked of another node."""
    return Talk(node.engine, talk.id, talk.model)


def owner(talk: Talk, *nodes: Node) -> list[str]:
    """The nodes where the conversation is awake."""
    found = [(node.name, node.engine.activation(talk.id)) for node in nodes]
    return [name for name, activation in found if activation is not None and activation.gone is None]


# --- commands --------------------------------------------------------------------------------------------------------


async def test_command_reaches_the_owner_from_any_node(autojump_clock: trio.testing.MockClock) -> None:
    provider = SharedProvider([Pause(1), "one"], ["two"])
    async with open_nodes("ab", [provider]) as (network, (a, b)):
        talk = await open_talk(a.engine)
        first = await talk.post("1")
        second = await at(b, talk).post("2")
        assert second.queued
        assert network.delivered == 1
        reader = fold(await at(b, talk).settled())
        assert reader.text(first.answer or "") == "one"
        assert reader.text(second.answer or "") == "two"
        assert owner(talk, a, b) == ["a"]


async def test_new_conversation_is_owned_where_it_is_first_spoken_in(autojump_clock: trio.testing.MockClock) -> None:
    async with open_nodes("ab", [SharedProvider(["one"])]) as (network, (a, b)):
        talk = await open_talk(a.engine)
        await at(b, talk).post("1")
        assert owner(talk, a, b) == ["b"]
        assert network.delivered == 0


async def test_refusal_of_another_node_is_told_as_if_it_were_ours(autojump_clock: trio.testing.MockClock) -> None:
    async with open_nodes("ab", [SharedProvider(["one"], ["two"])]) as (_, (a, b)):
        talk = await open_talk(a.engine)
        await talk.post("1")
        await talk.settled()
        stale = UpdateConversation(new_id(), a.engine.cluster.info.started_at, title="x", expected=0)  # type: ignore[union-attr]
        with pytest.raises(ConflictError):
            await b.engine.submit(talk.id, stale)
        lost = msgspec.structs.replace(talk.post_command("2"), parent=new_id())
        with pytest.raises(NotFoundError):
            await b.engine.submit(talk.id, lost)


async def test_same_command_through_two_nodes_takes_effect_once(autojump_clock: trio.testing.MockClock) -> None:
    async with open_nodes("abc", [SharedProvider([Pause(1), "one"])]) as (_, nodes):
        talk = await open_talk(nodes[0].engine)
        command = talk.post_command("1")
        receipts: list[Receipt] = []

        async def send(node: Node) -> None:
            receipts.append(await node.engine.submit(talk.id, command))

        async with trio.open_nursery() as nursery:
            for node in nodes:
                nursery.start_soon(send, node)
        assert receipts[0] == receipts[1] == receipts[2]
        assert [type(e).__name__ for e in await talk.settled()].count("RunStarted") == 1


async def test_stop_comes_from_any_node(autojump_clock: trio.testing.MockClock) -> None:
    provider = SharedProvider(LONG)
    async with open_nodes("ab", [provider]) as (_, (a, b)):
        talk = await open_talk(a.engine)
        await talk.post("1")
        await talk.until("part.delta")
        receipt = await at(b, talk).stop()
        assert receipt.run is not None
        assert provider.open_streams == 0


async def test_command_for_an_owner_who_cannot_be_reached_takes_the_way_through_the_store(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_nodes("ab", [SharedProvider([Pause(5), "one"], ["two"])]) as (network, (a, b)):
        talk = await open_talk(a.engine)
        await talk.post("1")
        network.cut.add(frozenset("ab"))
        began = trio.current_time()
        command = talk.post_command("2")
        receipt = await b.engine.submit(talk.id, command)
        assert receipt.queued
        assert trio.current_time() - began < 1.5
        assert await b.engine.submit(talk.id, command) == receipt
        stale = UpdateConversation(new_id(), command.at, title="x", expected=0)
        with pytest.raises(ConflictError):
            await b.engine.submit(talk.id, stale)
        assert not a.store.nodes.table.kept
        reader = fold(await talk.settled())
        assert reader.text(receipt.answer or "") == "two"


async def test_answer_that_is_lost_on_its_way_makes_nothing_happen_twice(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_nodes("ab", [SharedProvider(["one"], ["two"])]) as (network, (a, b)):
        talk = await open_talk(a.engine)
        await talk.post("1", respond=False)
        network.answers_to_lose = 1
        receipt = await b.engine.submit(talk.id, talk.post_command("2", respond=False), fresh=True)
        assert network.answers_to_lose == 0
        users = [row for row in fold(await talk.events()).messages.values() if row["role"] == "user"]
        assert len(users) == 2
        assert receipt.seq == len(await talk.events()) - 1


async def test_command_is_kept_when_its_owner_does_nothing_and_takes_effect_once_later(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_nodes("ab", [SharedProvider(["one"], ["two"])]) as (network, (a, b)):
        talk = await open_talk(a.engine)
        await talk.post("1")
        await talk.settled()
        network.cut.add(frozenset("ab"))
        # It renews its lease and does nothing else.
        a.engine.cluster.router._nodes = b.store.nodes  # type: ignore[union-attr]
        a.engine.cluster.router._node = "nobody"  # type: ignore[union-attr]
        command = talk.post_command("2")
        began = trio.current_time()
        with pytest.raises(UnreachableError, match="is kept and takes effect once") as told:
            await b.engine.submit(talk.id, command)
        assert told.value.retry_after
        assert 8 <= trio.current_time() - began < 10
        with pytest.raises(UnreachableError, match="look whether it took effect"):
            await b.engine.submit(talk.id, talk.post_command("3"), fresh=True)
        await a.kill()
        await trio.sleep(10)
        receipt = await b.engine.submit(talk.id, command)
        assert fold(await at(b, talk).settled()).text(receipt.answer or "") == "two"
        users = [row for row in fold(await at(b, talk).events()).messages.values() if row["role"] == "user"]
        assert len(users) == 2


# --- readers ---------------------------------------------------------------------------------------------------------


async def frames_of(talk: Talk, until: str = "run.completed") -> list[bytes]:
    """All frames of the log as a reader of this node gets them, up to the first of this type."""
    tail, seq, seen = await talk.engine.watch(talk.id), 0, b""
    woken = trio.Event()

    def wake() -> None:
        woken.set()

    detach = tail.attach(wake)
    try:
        while f"event: {until}".encode() not in seen:
            woken = trio.Event()
            data, seq = tail.read(seq) or await tail.read_log(seq)
            seen += data
            if not data:
                await woken.wait()
        return seen.split(b"\n\n")
    finally:
        detach()


async def test_reader_at_another_node_gets_the_same_bytes_at_once(autojump_clock: trio.testing.MockClock) -> None:
    async with open_nodes("ab", [SharedProvider(LONG)]) as (_, (a, b)):
        talk = await open_talk(a.engine)
        await talk.post("1")
        late: list[float] = []

        async def compare(node: Node) -> None:
            found.append(await frames_of(at(node, talk)))
            late.append(trio.current_time())

        found: list[list[bytes]] = []
        async with trio.open_nursery() as nursery:
            for node in (a, b):
                nursery.start_soon(compare, node)
        assert found[0] == found[1]
        assert abs(late[0] - late[1]) < 0.05
        assert b.engine.cluster.follower.reads > 50  # type: ignore[union-attr]


async def test_what_is_written_here_is_shown_by_the_flusher_alone(autojump_clock: trio.testing.MockClock) -> None:
    """A look into the log begins before the conversation is claimed here, and sees what is committed and not yet shown."""
    store = MemoryStore()
    async with open_nodes("ab", [SharedProvider(QUICK)], store) as (_, (a, _b)):
        talk = await open_talk(a.engine)
        found: list[list[bytes]] = []

        async def read() -> None:
            found.append(await frames_of(talk))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.sleep(0.1)
            store.faults.next("nodes.follow", Fault(delay=0.2))
            store.faults.next("append", Fault(lag=0.5))
            a.engine.cluster.follower.look(talk.id)  # type: ignore[union-attr]
            await talk.post("1")
        entries = await store.events(talk.id, 0, 1000)
        assert found[0][: len(entries)] == [frame(store.generation, entry).rstrip(b"\n") for entry in entries]


async def test_hints_that_are_lost_cost_a_second_and_nothing_else(autojump_clock: trio.testing.MockClock) -> None:
    store = MemoryStore()
    store.nodes.table.bus.loses = lambda message: True
    async with open_nodes("ab", [SharedProvider(LONG)], store) as (_, (a, b)):
        talk = await open_talk(a.engine)
        await talk.post("1")
        found: list[list[bytes]] = []
        late: list[float] = []

        async def compare(node: Node) -> None:
            found.append(await frames_of(at(node, talk)))
            late.append(trio.current_time())

        async with trio.open_nursery() as nursery:
            for node in (a, b):
                nursery.start_soon(compare, node)
        assert found[0] == found[1]
        assert abs(late[0] - late[1]) < 1.5


async def test_list_changes_at_every_node(autojump_clock: trio.testing.MockClock) -> None:
    async with open_nodes("ab", [SharedProvider(["one"])]) as (_, (a, b)):
        talk = await open_talk(a.engine)
        feed, _, seq = await b.engine.feeds.resume("ann", None)
        await trio.sleep(2)
        feed, _, seq = await b.engine.feeds.resume("ann", None)
        await talk.post("1")
        await talk.settled()
        await trio.sleep(0.1)
        data, seq = feed.read(seq) or (b"", seq)
        assert b'"run.started"' in data
        assert b'"run.completed"' in data
        await a.engine.purge(talk.id)
        await trio.sleep(0.1)
        data, seq = feed.read(seq) or (b"", seq)
        assert b"conversation.purged" in data


async def test_list_starts_over_when_a_word_is_lost(autojump_clock: trio.testing.MockClock) -> None:
    store = MemoryStore()
    async with open_nodes("ab", [SharedProvider(["one"])], store) as (_, (a, b)):
        await trio.sleep(2)
        feed, _, seq = await b.engine.feeds.resume("ann", None)
        store.nodes.table.bus.loses = lambda message: b'"advanced"' in message
        await open_talk(a.engine)
        await trio.sleep(2)
        assert feed.read(seq) is None, "a reset is to be read from the journal"


# --- nodes that die, pause, and stop ---------------------------------------------------------------------------------


async def test_what_a_killed_node_left_is_taken_up_within_seven_seconds(autojump_clock: trio.testing.MockClock) -> None:
    provider = SharedProvider(LONG, QUICK, continues=True)
    async with open_nodes("abc", [provider]) as (_, (a, b, c)):
        talk = await open_talk(a.engine)
        first = await talk.post("1")
        await talk.until("part.delta")
        await trio.sleep(2.7)
        await a.kill()
        began = trio.current_time()
        await at(b, talk).until("run.interrupted")
        assert trio.current_time() - began <= 7
        events = await at(b, talk).settled()
        assert [type(e) for e in events if isinstance(e, RunInterrupted | RunCompleted)] == [
            RunInterrupted,
            RunCompleted,
        ]
        assert fold(events).text(first.answer or "") == "begin" + " and on" * 60
        assert len(owner(talk, b, c)) == 1


async def test_writing_waits_for_a_dead_owner_and_goes_on(autojump_clock: trio.testing.MockClock) -> None:
    async with open_nodes("ab", [SharedProvider(["one"], ["two"])]) as (_, (a, b)):
        talk = await open_talk(a.engine)
        await talk.post("1")
        await talk.settled()
        await a.kill()
        began = trio.current_time()
        await at(b, talk).post("2")
        assert trio.current_time() - began <= 7
        assert owner(talk, b) == ["b"]


async def test_work_of_a_dead_node_is_shared_out(autojump_clock: trio.testing.MockClock) -> None:
    provider = SharedProvider(*[LONG] * 12, QUICK, continues=True)
    async with open_nodes("abc", [provider]) as (_, (a, b, c)):
        talks = [await open_talk(a.engine) for _ in range(12)]
        for talk in talks:
            await talk.post("1")
            await talk.until("part.delta")
        await a.kill()
        await trio.sleep(7)
        shares = [[talk.id for talk in talks if owner(talk, node)] for node in (b, c)]
        assert sorted(shares[0] + shares[1]) == sorted(talk.id for talk in talks)
        assert all(shares), "one has taken everything"


async def test_node_that_was_paused_is_fenced_and_shows_nothing(autojump_clock: trio.testing.MockClock) -> None:
    provider = SharedProvider(LONG, QUICK, continues=True)
    async with open_nodes("ab", [provider]) as (_, (a, b)):
        talk = await open_talk(a.engine)
        await talk.post("1")
        await talk.until("part.delta")
        a.store.down = True
        await trio.sleep(8)
        assert owner(talk, b) == ["b"]
        a.store.down = False
        await trio.sleep(3)
        assert owner(talk, a) == []
        events = await talk.settled()
        epochs = [entry.epoch for entry in await b.store.events(talk.id, 0, 1000)]
        assert epochs == sorted(epochs)
        assert isinstance(events[-1], RunCompleted)
        assert await frames_of(talk) == await frames_of(at(b, talk))


async def test_node_that_was_away_forgets_what_others_have_taken(autojump_clock: trio.testing.MockClock) -> None:
    """Nothing goes on there that could be fenced."""
    async with open_nodes("ab", [SharedProvider(["one"])]) as (network, (a, b)):
        talk, other = await open_talk(a.engine), await open_talk(a.engine)
        for one in (talk, other):
            await one.post("1", respond=False)
        a.store.down = True
        network.cut.add(frozenset("ab"))
        await trio.sleep(6)
        await at(b, talk).post("2", respond=False)
        network.cut.clear()
        a.store.down = False
        await trio.sleep(3)
        assert owner(talk, a, b) == ["b"]
        assert owner(other, a, b) == ["a"]


async def test_outage_of_the_store_moves_nothing(autojump_clock: trio.testing.MockClock) -> None:
    provider = SharedProvider(LONG)
    async with open_nodes("ab", [provider]) as (_, (a, b)):
        talk = await open_talk(a.engine)
        await talk.post("1")
        await talk.until("part.delta")
        for node in (a, b):
            node.store.down = True
        await trio.sleep(12)
        b.store.down = False  # The other one is back first, and sees every lease over.
        await trio.sleep(2)
        a.store.down = False
        await trio.sleep(6)
        assert owner(talk, a, b) == ["a"]
        kinds = [type(event) for event in await talk.settled()]
        assert RunInterrupted not in kinds


async def test_node_that_stops_lets_runs_end_and_hands_over_the_rest(autojump_clock: trio.testing.MockClock) -> None:
    provider = SharedProvider([Pause(3), "short"], LONG, QUICK, continues=True)
    async with open_nodes("ab", [provider]) as (_, (a, b)):
        short, long, quiet = [await open_talk(a.engine) for _ in range(3)]
        await short.post("1")
        await long.post("1")
        await quiet.post("1", respond=False)
        await long.until("part.delta")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(a.stop, 10.0)
            await trio.sleep(0.5)
            # What rests has a new owner at once, whoever is asked.
            assert (await quiet.post("2", respond=False)).seq
            assert owner(quiet, a, b) == ["b"]
            # What runs can be spoken to, from anywhere.
            assert (await at(b, short).post("2", respond=False)).queued
        stopped = trio.current_time()
        kinds = [type(event).__name__ for event in await at(b, short).settled()]
        assert "RunInterrupted" not in kinds
        await at(b, long).until("run.interrupted")
        assert trio.current_time() - stopped < 1.0
        events = await at(b, long).settled()
        assert [type(e) for e in events if isinstance(e, RunInterrupted | RunCompleted)] == [
            RunInterrupted,
            RunCompleted,
        ]
        assert (await b.store.nodes.members()).nodes[0].node.name == "b"


async def test_node_that_stops_brings_commands_to_whoever_has_the_conversation(
    autojump_clock: trio.testing.MockClock,
) -> None:
    provider = SharedProvider([Pause(5), "long"])
    async with open_nodes("abc", [provider]) as (_, (a, b, c)):
        busy = await open_talk(a.engine)
        await busy.post("1")
        # Of eight, each node would take some if nobody had them; all have an owner, who is not always that node.
        talks = [await open_talk(node.engine) for node in (b, c) * 4]
        for talk in talks:
            await talk.post("1", respond=False)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(a.stop, 10.0)
            await trio.sleep(0.5)
            began = trio.current_time()
            for talk in talks:
                await at(a, talk).post("2", respond=False)
            assert trio.current_time() - began < 1.0
            assert [owner(talk, a, b, c) for talk in talks] == [["b"], ["c"]] * 4


async def test_last_node_that_stops_refuses_in_words(autojump_clock: trio.testing.MockClock) -> None:
    async with open_nodes("a", [SharedProvider([Pause(3), "one"])]) as (_, (a,)):
        talk, other = await open_talk(a.engine), await open_talk(a.engine)
        await talk.post("1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(a.engine.drain, 10.0)
            await trio.sleep(0.1)
            with pytest.raises(ClosedError, match="stopping"):
                await other.post("1")
            await talk.stop()


async def test_what_rests_is_let_go_of(autojump_clock: trio.testing.MockClock) -> None:
    async with open_nodes("ab", [SharedProvider(["one"], ["two"])]) as (network, (a, b)):
        talk = await open_talk(a.engine)
        await talk.post("1")
        await talk.settled()
        await trio.sleep(200)
        assert owner(talk, a, b) == []
        await at(b, talk).post("2")
        assert owner(talk, a, b) == ["b"]
        assert network.delivered == 0


# --- the store goes backwards ----------------------------------------------------------------------------------------


async def test_restored_backup_has_readers_begin_again(autojump_clock: trio.testing.MockClock) -> None:
    store = MemoryStore()
    async with open_nodes("ab", [SharedProvider(["one"], ["two"])], store) as (_, (a, b)):
        talk = await open_talk(a.engine)
        await talk.post("1")
        await talk.settled()
        backup = store.backup()
        await talk.post("2")
        await talk.settled()
        cursor = (await b.engine.snapshot(talk.id)).token
        rows = store._rows
        store.restore(backup)
        rows.clear()
        rows.update(store._rows)
        store._rows = rows
        await trio.sleep(3)
        assert owner(talk, a, b) == []
        preface, _ = await b.engine.resume(talk.id, cursor)
        assert preface.startswith(b"event: reset")
        entries = await store.events(talk.id, 0, 1000)
        assert isinstance(decode_event(entries[-1].data), RunCompleted)
