"""What PostgreSQL and its users do to a store, and what it makes of it: crashes, lost connections, locks, odd values."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import msgspec
import psycopg
import pytest
import trio
from postgres_server import PostgresServer, open_server
from postgres_stores import connect, empty, open_schema, opening, with_parameters

from trialogue import ConflictError, Flush, Message, StorageError, TextPart, new_id, text_of
from trialogue.testing._kit_access import key_of
from trialogue.testing._kit_accounts import device, someone
from trialogue.testing._kit_making import FIRST, Talk, begin, creation, minutes, numbers
from trialogue_postgres._accounts_sql import ONE_AT_A_TIME
from trialogue_postgres._connection import TrioConnection
from trialogue_postgres._database import first_row, rows
from trialogue_postgres._pool import PoolTimeout
from trialogue_postgres._rows import body_of
from trialogue_postgres._store import PostgresStore
from trialogue_postgres._writes import prune_one


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    # What is acknowledged has to be on the disk here. The server's own default would be laxer; ours is not.
    with open_server("max_connections=60", "deadlock_timeout=20ms", "fsync=on", "full_page_writes=on") as server:
        yield server


@pytest.fixture(scope="module")
def schema(server: PostgresServer) -> Iterator[str]:
    with open_schema(server.dsn) as url:
        yield url


@pytest.fixture
async def store(schema: str) -> AsyncIterator[PostgresStore]:
    empty(schema)
    async with opening(schema) as store:
        assert isinstance(store, PostgresStore)
        yield store


# --- what was acknowledged is there ----------------------------------------------------------------------------------


class Writer:
    """Appends to a conversation without end, repeating what it is not told of, and counts what was acknowledged."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.acknowledged = 0
        self._progress = trio.Event()

    async def run(self) -> None:
        while True:
            flush = self.talk.flush("part.delta", "part.delta") if self.talk.next_seq % 10 else self._said()
            while not await self._is_taken(flush):
                pass
            self.talk.wrote(flush)
            self.acknowledged = self.talk.next_seq
            self._progress.set()
            self._progress = trio.Event()

    async def further(self, entries: int) -> None:
        """Return when it has got so much further."""
        goal = self.acknowledged + entries
        while self.acknowledged < goal:
            await self._progress.wait()

    def _said(self) -> Flush:
        message = Message(new_id(), self.talk.id, "user", (TextPart("an owl"),), minutes(0), self.talk.header.head)
        header = msgspec.structs.replace(self.talk.header, head=message.id)
        return self.talk.flush("message.added", header=header, messages=(message,))

    async def _is_taken(self, flush: Flush) -> bool:
        try:
            assert list(await self.talk.store.append([flush])) == ["committed"]
        except StorageError:
            await trio.lowlevel.checkpoint()
            return False
        return True


async def test_crash_of_the_server_loses_nothing_acknowledged(store: PostgresStore, server: PostgresServer) -> None:
    """Three times in the midst of appends; they go on when it is back, and nothing is there twice."""
    writers = [Writer(await begin(store)) for _ in range(4)]
    async with trio.open_nursery() as nursery:
        for writer in writers:
            nursery.start_soon(writer.run)
        for _ in range(3):
            await further(writers, 40)
            await trio.to_thread.run_sync(server.crash)
            await trio.to_thread.run_sync(server.start)
        await further(writers, 40)
        nursery.cancel_scope.cancel()
    await verify(writers)


async def test_terminated_backends_cost_nothing(store: PostgresStore, schema: str) -> None:
    writers = [Writer(await begin(store)) for _ in range(4)]
    async with trio.open_nursery() as nursery:
        for writer in writers:
            nursery.start_soon(writer.run)
        with connect(schema) as connection:
            for _ in range(20):
                await further(writers, 10)
                connection.execute(TERMINATE)
        nursery.cancel_scope.cancel()
    await verify(writers)


TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'trialogue' AND pid <> pg_backend_pid()
"""


async def further(writers: list[Writer], entries: int) -> None:
    """Return when each has got so much further."""
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for writer in writers:
                nursery.start_soon(writer.further, entries)


async def verify(writers: list[Writer]) -> None:
    for writer in writers:
        found = await numbers(writer.talk)
        assert found == list(range(len(found)))
        assert len(found) >= writer.acknowledged
        view = await writer.talk.store.view(writer.talk.id, 1000)
        assert view is not None
        assert view.header.head == (view.messages[-1].id if view.messages else None)


async def test_append_whose_connection_is_lost_may_be_repeated(store: PostgresStore, schema: str) -> None:
    talk = await begin(store)
    flush = talk.flush("usage")
    with connect(schema) as other:
        async with trio.open_nursery() as nursery:
            other.execute("BEGIN")
            other.execute("SELECT 1 FROM log WHERE id = %s FOR UPDATE", (talk.id,))
            nursery.start_soon(lost, store, flush)
            await waiting_for_a_lock(schema)
            other.execute(TERMINATE)
        other.execute("COMMIT")
    assert list(await store.append([flush])) == ["committed"]
    assert list(await store.append([flush])) == ["committed"]
    assert await numbers(talk) == [0, 1]


async def lost(store: PostgresStore, flush: Flush) -> None:
    with pytest.raises(StorageError, match="connection to PostgreSQL was lost"):
        await store.append([flush])


async def waiting_for_a_lock(url: str) -> None:
    """Return when a call waits for what another transaction has."""
    with connect(url) as connection, trio.fail_after(20):
        while not connection.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
            await trio.lowlevel.checkpoint()


async def test_commits_are_durable_whatever_the_server_prefers(store: PostgresStore) -> None:
    assert await store.database.first("SHOW synchronous_commit") == ("on",)


# --- two nodes -------------------------------------------------------------------------------------------------------


async def test_another_node_fences_the_first(store: PostgresStore, schema: str) -> None:
    talk = await begin(store)
    async with opening(schema) as other:
        claim = await other.claim(talk.id, "node-b")
        assert claim is not None
        assert list(await store.append([talk.flush("usage")])) == ["fenced"]
        taken = Talk(other, claim.header, "node-b")
        taken.epoch = 2
        await taken.write("usage")
    assert [entry.epoch for entry in await store.events(talk.id, 0, 9)] == [1, 2]


async def test_claim_starts_from_what_was_committed_while_it_waited(store: PostgresStore, schema: str) -> None:
    talk = await begin(store, title="Before")
    after = msgspec.structs.replace(talk.header, title="After")
    claims = []

    async def claim() -> None:
        claims.append(await store.claim(talk.id, "node-b"))

    with connect(schema) as other:
        async with trio.open_nursery() as nursery:
            other.execute("BEGIN")
            other.execute("UPDATE log SET next_seq = 7 WHERE id = %s", (talk.id,))
            other.execute("UPDATE conversation SET body = %s WHERE id = %s", (body_of(after), talk.id))
            nursery.start_soon(claim)
            await waiting_for_a_lock(schema)
            other.execute("COMMIT")
    (found,) = claims
    assert found is not None
    assert (found.next_seq, found.header, found.epoch) == (7, after, 2)


async def test_attempt_that_was_stuck_while_its_retry_committed_writes_nothing(
    store: PostgresStore, schema: str
) -> None:
    """What it waited for has changed under it: the row says now that its number was used (I6)."""
    talk = await begin(store)
    verdicts: list[str] = []

    async def append() -> None:
        verdicts.extend(await store.append([talk.flush("usage", "usage")]))

    with connect(schema) as other:
        async with trio.open_nursery() as nursery:
            other.execute("BEGIN")
            other.execute("UPDATE log SET next_seq = 2, flush = 1 WHERE id = %s", (talk.id,))
            other.execute("INSERT INTO entry SELECT n, 1, 1, 'usage', '' FROM log WHERE id = %s", (talk.id,))
            nursery.start_soon(append)
            await waiting_for_a_lock(schema)
            other.execute("COMMIT")
    assert verdicts == ["committed"]
    assert await numbers(talk) == [0, 1]


async def test_conversation_that_came_alive_is_not_pruned(store: PostgresStore) -> None:
    """After it was found, and before its turn."""
    talk = await begin(store)
    await talk.write("part.delta")
    await talk.write("run.started", unfinished=True)
    assert not await prune_one(store.database, {"id": talk.id, "before": minutes(9)})
    assert await numbers(talk) == [0, 1, 2]
    assert await store.position(talk.id) == (0, 3)


async def test_transactions_in_each_others_way_are_repeated(store: PostgresStore) -> None:
    first, second = (await begin(store)).id, (await begin(store)).id
    has_one, has_other = trio.Event(), trio.Event()
    lock, attempts = "SELECT 1 FROM log WHERE id = %(id)s FOR UPDATE", []

    async def work(connection: TrioConnection, names: tuple[str, str], mine: trio.Event, other: trio.Event) -> None:
        attempts.append(names)
        await rows(connection, lock, {"id": names[0]})
        mine.set()
        await other.wait()
        await rows(connection, lock, {"id": names[1]})

    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.database.write, lambda one: work(one, (first, second), has_one, has_other))
        nursery.start_soon(store.database.write, lambda one: work(one, (second, first), has_other, has_one))
    assert len(attempts) == 3


async def test_accounts_are_made_one_at_a_time(store: PostgresStore, schema: str) -> None:
    """Whichever server makes them: who comes second is not the first."""
    added = []

    async def add() -> None:
        added.append(await store.accounts.add_user(someone("second@example.org"), "hash"))

    with connect(schema) as other:
        async with trio.open_nursery() as nursery:
            other.execute("BEGIN")
            other.execute(ONE_AT_A_TIME.encode())
            nursery.start_soon(add)
            await waiting_for_a_lock(schema)
            other.execute("INSERT INTO account VALUES ('1', 'first@example.org', '', '', true, '{}')")
            other.execute("COMMIT")
    assert [user.role for user in added] == ["user"]


async def test_keys_of_an_account_are_counted_one_at_a_time(store: PostgresStore, schema: str) -> None:
    user = await store.accounts.add_user(someone("a@example.org"), "hash")
    refused = []

    async def add() -> None:
        try:
            await store.accounts.add_key(key_of(user), most=1)
        except ConflictError as error:
            refused.append(error)

    with connect(schema) as other:
        async with trio.open_nursery() as nursery:
            other.execute("BEGIN")
            other.execute("SELECT 1 FROM account WHERE id = %s FOR UPDATE", (user.id,))
            nursery.start_soon(add)
            await waiting_for_a_lock(schema)
            other.execute("INSERT INTO api_key (id, token, account, body) VALUES ('1', '', %s, '')", (user.id,))
            other.execute("COMMIT")
    assert len(refused) == 1


# --- the pool --------------------------------------------------------------------------------------------------------


async def test_slow_reads_hold_no_append_up(schema: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opening(with_parameters(schema, connections="2")) as small, trio.open_nursery() as nursery:
        assert isinstance(small, PostgresStore)
        talk = await begin(small)
        nursery.start_soon(small.database.read, "SELECT pg_sleep(30)")
        await trio.testing.wait_all_tasks_blocked(0.01)
        with trio.fail_after(10):
            await talk.write("part.delta")
            monkeypatch.setattr("trialogue_postgres._pool.PATIENCE", 0.05)
            with pytest.raises(PoolTimeout):
                await small.header(talk.id)
        nursery.cancel_scope.cancel()


async def test_closed_store_says_so(schema: str, store: PostgresStore) -> None:
    async with opening(schema) as other:
        pass
    with pytest.raises(StorageError, match="closed"):
        await other.header(new_id())


# --- what is refused -------------------------------------------------------------------------------------------------


async def test_flush_that_the_database_refuses_takes_no_other_with_it(store: PostgresStore) -> None:
    talks = [await begin(store) for _ in range(4)]
    said = await talks[0].say("mine")
    stolen = msgspec.structs.replace(said, conversation=talks[1].id)
    flushes = [
        talks[0].flush("usage"),
        talks[1].flush("message.added", messages=(stolen,), snapshot=b"s"),
        talks[2].flush("usage", snapshot=b"s", done=(creation(talks[3].header),)),
        talks[3].flush("usage", done=(creation(talks[3].header),)),
    ]
    assert list(await store.append(flushes)) == ["committed", "fenced", "committed", "fenced"]
    assert [await numbers(talk) for talk in talks] == [[0, 1, 2], [0], [0, 1], [0]]
    assert await store.message(said.id) == said


async def test_message_written_twice_in_a_flush_is_the_later(store: PostgresStore) -> None:
    talk = await begin(store)
    first = Message(new_id(), talk.id, "user", (TextPart("first"),), minutes(0))
    later = msgspec.structs.replace(first, parts=(TextPart("later"),))
    await talk.write("message.added", messages=(first, later))
    assert await store.message(first.id) == later


async def test_message_that_waited_stands_after_what_it_answers(store: PostgresStore) -> None:
    talk = await begin(store)
    await talk.say("question")
    late = Message(new_id(), talk.id, "user", (TextPart("late"),), minutes(1))
    await talk.write("inbox.added", waiting=(late.id,))
    answer = await talk.say("answer", role="assistant")
    await talk.write("message.added", messages=(msgspec.structs.replace(late, parent=answer.id),))
    tree = await store.tree(talk.id, 10)
    assert tree is not None
    assert [text_of(message.parts) for message in tree.messages] == ["question", "answer", "late"]


async def test_refusals_quote_no_rows(store: PostgresStore) -> None:
    user = await store.accounts.add_user(someone("a@example.org"), "hash")
    await store.accounts.add_session(device(user, token=b"secret"))
    with pytest.raises(StorageError) as caught:
        await store.accounts.add_session(device(user, token=b"secret"))
    assert "example.org" not in str(caught.value)
    assert b"secret".hex() not in str(caught.value)


async def test_audit_log_is_not_changed(store: PostgresStore) -> None:
    await store.accounts.add_user(someone("a@example.org"), "hash")
    with pytest.raises(StorageError, match="the audit log is not changed"):
        await store.database.execute("UPDATE audit SET action = 'login'")


# --- odd values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", ["", "\x00", "a\x00b", "\ud800", "'", "\\", "%", "🦉" * 1000])
async def test_odd_names_find_nothing(store: PostgresStore, odd: str) -> None:
    talk = await begin(store, folder="work")
    await talk.say("an owl")
    assert await store.header(odd) is None
    assert await store.message(odd) is None
    assert await store.view(odd, 10) is None
    assert await store.leaf(talk.id, odd) == (odd or talk.header.head)
    assert not await store.taken(odd)
    assert await store.siblings(talk.id, [odd]) == {}
    assert await store.receipt(talk.id, odd) is None
    assert (await store.conversations(odd, limit=5)).conversations == ()
    assert (await store.conversations("owner", limit=5, folder=odd)).conversations == ()
    assert (await store.conversations(odd, limit=5, text="owl")).conversations == ()
    assert (await store.accounts.audit(limit=5, subject=odd)).entries == ()
    assert await store.accounts.user_by_email(odd) is None


async def test_entries_that_are_no_text_are_kept_as_they_are(store: PostgresStore) -> None:
    talk = await begin(store)
    entry = msgspec.structs.replace(FIRST, seq=1, data=b"\xff\x00\xfe")
    assert list(await store.append([Flush(talk.id, talk.node, 1, 1, (entry,))])) == ["committed"]
    assert list(await store.events(talk.id, 1, 1)) == [entry]


async def listed(store: PostgresStore, text: str) -> list[str]:
    return [header.id for header in (await store.conversations("owner", limit=9, text=text)).conversations]


async def test_text_of_more_words_than_an_index_takes_is_kept(store: PostgresStore) -> None:
    talk = await begin(store)
    message = await talk.say(" ".join(f"word{count}" for count in range(300_000)))
    assert await store.message(message.id) == message
    assert await listed(store, "word7 word8") == [talk.id]


async def test_list_finds_words_that_no_space_parts(store: PostgresStore) -> None:
    talk = await begin(store)
    await talk.say("夜になると梟が森で狩りをする, well-known café")
    for text in ("森で", "梟", "夜 狩り", "CAFE", "well-known", "known cafés"[:10]):
        assert await listed(store, text) == [talk.id], text
    for text in ("鷲", "で森", "known-well", "caf e"):
        assert await listed(store, text) == [], text


async def test_list_finds_only_the_owners(store: PostgresStore) -> None:
    talk = await begin(store)
    await talk.say("an owl")
    other = await begin(store, owner="another")
    await other.say("an owl")
    assert await listed(store, "owl") == [talk.id]
    await talk.write("message.removed", removed=(str(talk.header.head),))
    assert await listed(store, "owl") == []


async def test_rows_are_found_after_the_connection_was_used_for_others(store: PostgresStore) -> None:
    """Statements are prepared after some uses: nothing differs then."""
    talk = await begin(store)
    for count in range(12):
        await talk.say(f"message {count}")
        view = await store.view(talk.id, 3)
        assert view is not None
        assert view.messages[-1].id == talk.header.head
    async with store.database._pool.lend() as connection:
        assert await first_row(connection, "SELECT count(*) > 0 FROM pg_prepared_statements") == (True,)


def test_server_is_one_of_the_supported(server: PostgresServer) -> None:
    with psycopg.connect(server.dsn) as connection:
        assert connection.info.server_version >= 160000
