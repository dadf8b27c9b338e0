"""PostgreSQL's machine is gone, and its standby is promoted, while nodes write and are read: they find it by themselves.

With synchronous replication nothing that was acknowledged, or shown, is lost. Without it something may be, and then
everybody is told: all streams begin with a reset, and nobody is given what comes after as if it followed what he has seen.
"""

from __future__ import annotations

import os
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
import trio
from bench.sse import Frame
from chaos.asking import ask, ask_whole
from chaos.evidence import Evidence, collect, set_witness, unfinished
from chaos.fleet import SETTINGS
from chaos.judge import judge
from chaos.talks import Clients, Record, Talk
from postgres_server import PostgresServer, Standby, open_pair
from served import Server

#: Seconds of talk before and after, and for all that is under way to come to its end.
BEFORE, AFTER, PEACE = 3.0, 3.0, 60.0


@dataclass
class Beginner(Record):
    """A reader who begins again when he is told to, and remembers what he had seen."""

    lost: list[Frame] = field(default_factory=list[Frame])
    resets: int = 0

    def take(self, frame: Frame) -> None:
        if frame.type == "reset":
            self.resets += 1
            self.lost += self.frames
            self.frames, self.cursor = [], None
        else:
            super().take(frame)


@dataclass
class Nodes:
    """Two of them over a pair of servers, and who talks there."""

    servers: list[Server]
    clients: Clients
    talks: list[Talk]

    @property
    def readers(self) -> list[Beginner]:
        return [record for talk in self.talks for record in talk.records if isinstance(record, Beginner)]


#: A pair of servers, for a minute and a half.
WITH_PAIRS = pytest.mark.skipif(
    "TRIALOGUE_TEST_POSTGRES" not in os.environ, reason="promotes standbys, for minutes: make test-postgres17"
)


@WITH_PAIRS
async def test_nothing_is_lost_when_a_synchronous_standby_is_promoted(tmp_path: Path) -> None:
    with open_pair(synchronous=True) as (primary, standby):
        async with talking(tmp_path, primary, standby) as nodes:
            await trio.sleep(BEFORE)
            await fail_over(primary, standby)
            await trio.sleep(AFTER)
        found = [await trio.to_thread.run_sync(collect, standby.dsn, talk.conversation) for talk in nodes.talks]
    for talk, evidence in zip(nodes.talks, found, strict=True):
        assert judge(talk, evidence) == []
        assert missing(talk, evidence) == []
    assert all(reader.resets for reader in nodes.readers)
    assert sum(len(reader.lost) for reader in nodes.readers) > 50, "it was no quiet world"


@WITH_PAIRS
async def test_what_an_asynchronous_standby_lacks_is_lost_for_everybody(tmp_path: Path) -> None:
    with open_pair(synchronous=False) as (primary, standby):
        async with talking(tmp_path, primary, standby) as nodes:
            await trio.sleep(BEFORE / 2)
            cut = ("ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
            await trio.to_thread.run_sync(partial(standby.tell, *cut))
            await trio.sleep(BEFORE)
            await fail_over(primary, standby, between=partial(forget, nodes.talks))
            await trio.sleep(AFTER)
        found = [await trio.to_thread.run_sync(collect, standby.dsn, talk.conversation) for talk in nodes.talks]
    for talk, evidence in zip(nodes.talks, found, strict=True):
        assert judge(talk, evidence) == []
        assert missing(talk, evidence), "the standby lacked nothing"
    assert all(reader.resets for reader in nodes.readers)


def forget(talks: Sequence[Talk]) -> None:
    """What was acknowledged until now may be lost; whatever is from now on may not."""
    for talk in talks:
        for question in talk.questions.values():
            question.acknowledged = False
            question.answers.clear()
        talk.titles = dict.fromkeys(talk.titles, False)


def missing(talk: Talk, evidence: Evidence) -> list[Frame]:
    """What readers saw before, and the log has not, or otherwise."""
    held = {(frame.seq, frame.epoch, frame.type, frame.data) for frame in evidence.log}
    seen = [frame for record in talk.records if isinstance(record, Beginner) for frame in record.lost]
    return [frame for frame in seen if (frame.seq, frame.epoch, frame.type, frame.data) not in held]


async def fail_over(primary: PostgresServer, standby: Standby, between: Callable[[], object] = lambda: None) -> None:
    """The one ends as if its machine had lost its power, the other is promoted a moment later."""
    await trio.to_thread.run_sync(primary.crash)
    await trio.sleep(0.5)
    between()
    await trio.to_thread.run_sync(standby.promote)


@asynccontextmanager
async def talking(folder: Path, primary: PostgresServer, standby: Standby) -> AsyncGenerator[Nodes]:
    """Two nodes at work. After the block nothing new is said, and everything comes to its end, at the standby."""
    hosts = f"tester@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/trialogue"
    url = f"postgresql://{hosts}?target_session_attrs=read-write&connections=6"
    with ExitStack() as stack:
        servers: list[Server] = []
        for name in ("one", "two"):
            home = folder / name
            home.mkdir()
            servers.append(Server(home, **SETTINGS, storage_url=url, node_name=name))
            stack.callback(servers[-1].close)
            await trio.to_thread.run_sync(servers[-1].start)
        nodes = await _begin(servers, primary)
        async with trio.open_nursery() as reading:
            for talk in nodes.talks:
                for number, record in enumerate(talk.records):
                    reading.start_soon(partial(nodes.clients.read, talk, record, socket=number % 2 == 1))
            async with trio.open_nursery() as saying:
                for talk in nodes.talks:
                    saying.start_soon(nodes.clients.converse, talk)
                yield nodes
                nodes.clients.stopping = True
            with trio.fail_after(PEACE):
                while await _goes_on(standby.dsn, nodes.talks):  # noqa: ASYNC110 - the database is asked
                    await trio.sleep(0.2)
            reading.cancel_scope.cancel()


async def _begin(servers: list[Server], primary: PostgresServer) -> Nodes:
    body = {"email": "one@example.org", "password": "correct horse battery staple", "name": "One"}
    status, headers, answer = await ask_whole(servers[0].port, "POST", "/api/auth/register", body)
    assert status == 201, answer
    cookie = headers["set-cookie"].partition(";")[0]
    await trio.to_thread.run_sync(set_witness, primary.dsn)
    ports: Callable[[], list[int]] = lambda: [server.port for server in servers]  # noqa: E731
    talks: list[Talk] = []
    for _ in range(2):
        _, made = await ask(servers[0].port, "POST", "/api/conversations", {}, cookie)
        talks.append(Talk(made["id"], [Beginner(), Beginner()]))
    return Nodes(servers, Clients(ports, cookie, random.Random(7)), talks)


async def _goes_on(dsn: str, talks: list[Talk]) -> bool:
    if await trio.to_thread.run_sync(unfinished, dsn):
        return True
    for talk in talks:
        found = await trio.to_thread.run_sync(collect, dsn, talk.conversation)
        if any(record.last != found.next_seq - 1 for record in talk.records):
            return True
    return False
