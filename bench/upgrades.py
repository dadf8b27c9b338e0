"""What an upgrade may cost: nobody anything, and no more than a second of silence.

States: while a server is replaced by its successor N times, with answers streaming, messages being posted and readers who
resume, no connection is refused, no answer is cut, no event is lost, doubled or missing, and no reader of an answer hears
nothing for more than a second.
"""

from __future__ import annotations

import os
import random
import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from bench.manager import Manager
from bench.postgres import open_postgres
from bench.processes import SERVER_CPU
from bench.results import Row
from bench.servers import Trialogue
from bench.sse import Frame
from bench.verdict import ENDS, check_charges, check_messages, check_order, check_runs, check_seen, check_texts
from bench.world import Talk, World

NAME = "upgrades"
TOKENS = 120
ANSWER = "".join(f"{number} " for number in range(TOKENS))
#: Seconds. The last third of them is more than an answer takes, or else answers would be cut.
GRACE = 9.0


@dataclass
class Listener(Talk):
    """A conversation whose reader also notes for how long it heard nothing while it was being answered."""

    silence: float = 0.0
    #: How long nothing was written at worst though messages waited.
    pause: float = 0.0
    interrupted: int = 0
    _last: float = 0.0
    _live: bool = False
    _ended_at: float = 0.0

    def take(self, frame: Frame) -> None:
        """Note a frame, and when it came."""
        now = trio.current_time()
        if frame.type == "reconnect":
            return
        if self._live:
            self.silence = max(self.silence, now - self._last)
        elif frame.type == "run.started" and self.ended:
            self.pause = max(self.pause, now - self._ended_at)
        self._last = now
        self.interrupted += frame.type == "run.interrupted"
        if frame.type == "run.started":
            self._live = True
        elif frame.type in ENDS:
            self._live, self._ended_at = False, now
        super().take(frame)


@dataclass
class Outcome:
    """What came of it: everything that was wrong, in words, and what clients noticed."""

    problems: list[str] = field(default_factory=list[str])
    upgrades: int = 0
    answers: int = 0
    #: Connections that were not made.
    refused: int = 0
    silences: list[float] = field(default_factory=list[float])
    pauses: list[float] = field(default_factory=list[float])
    #: Seconds from the signal to the moment at which the successor is the main process.
    lasted: list[float] = field(default_factory=list[float])


class Service(World):
    """The clients, who count what they are refused."""

    refused = 0

    async def _send(self, talk: Talk, message: str) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.server.port), 5).close()
        except ConnectionRefusedError:
            self.refused += 1
        return await super()._send(talk, message)


def run(quick: bool = False, streams: int = 0) -> list[Row]:
    """Replace it again and again, over both stores, under 200 streams of ten tokens a second."""
    count = streams or (20 if quick else 200)
    rate = 10 if count > 50 else 50
    with open_postgres() as url:
        return [
            *measured("SQLite", "sqlite:", count, rate, 1 if quick else 3),
            *measured("PostgreSQL", url, count, rate, 1 if quick else 3),
        ]


def measured(store: str, url: str, count: int, rate: int, upgrades: int) -> list[Row]:
    """What became of it over one store. No answer is so long that it would have to be cut."""
    with open_service(rate=rate, grace=4 * TOKENS / rate, storage=url) as (server, manager):
        outcome = trio.run(play, server, manager, upgrades, count)
    for problem in outcome.problems[:20]:
        print(problem)
    silences = sorted(outcome.silences)
    return [
        Row(NAME, f"{store}: upgrades", outcome.upgrades, ""),
        Row(NAME, f"{store}: streams", count, ""),
        Row(NAME, f"{store}: answers", outcome.answers, ""),
        Row(NAME, f"{store}: violations", len(outcome.problems), "", "== 0"),
        Row(NAME, f"{store}: connections refused", outcome.refused, "", "== 0"),
        Row(NAME, f"{store}: silence within an answer, median of the worst", silences[len(silences) // 2], "s"),
        Row(NAME, f"{store}: silence within an answer, longest", silences[-1], "s", "<= 1"),
        Row(NAME, f"{store}: a message waits for its answer to begin, longest", max(outcome.pauses), "s"),
        Row(NAME, f"{store}: an upgrade takes, longest", max(outcome.lasted), "s"),
    ]


@contextmanager
def open_service(
    cpu: int = SERVER_CPU, *, rate: int = 50, grace: float = GRACE, storage: str = "sqlite:"
) -> Generator[tuple[Trialogue, Manager]]:
    """A server on a fresh data folder, up, as a service; its last process is gone at the end."""
    with TemporaryDirectory(prefix="trialogue-upgrades-") as folder:
        manager = Manager(Path(folder, "notify"))
        environment = {
            "TRIALOGUE_DEFAULT_MODEL": "echo:echo",
            "TRIALOGUE_STORAGE_URL": storage,
            "OPENAI_API_KEY": "",
            "TRIALOGUE_SHUTDOWN_GRACE_SECONDS": str(grace),
            "TRIALOGUE_LOG_LEVEL": "info",
            "TRIALOGUE_LOG_REQUESTS": "false",
            "NOTIFY_SOCKET": manager.address,
            "WORDS": f"[[tokens={TOKENS} rate={rate} numbered]]",
        }
        server = Trialogue(Path(folder), environment, cpu)
        try:
            manager.pid = server.start().pid
            yield server, manager
        finally:
            manager.end()
            if server.process is not None:
                server.process.stop()


async def play(server: Trialogue, manager: Manager, upgrades: int, conversations: int) -> Outcome:
    """Start clients, replace the server ``upgrades`` times, let everything end, and check it all."""
    outcome = Outcome()
    account = await trio.to_thread.run_sync(server.client().register)
    world = Service(server, account, server.environment["WORDS"], random.Random(1))
    ids = await trio.to_thread.run_sync(server.client().create_conversations, account, conversations)
    listeners = [Listener(one) for one in ids]
    world.talks = list(listeners)
    async with trio.open_nursery() as readers:
        for talk in listeners:
            readers.start_soon(world.read, talk)
        async with trio.open_nursery() as posters:
            for talk in listeners:
                posters.start_soon(world.post, talk)
            for _ in range(upgrades):
                await trio.sleep(2)
                await replace(manager, outcome, server)
            await trio.sleep(1)
            world.stopping = True
        if not await world.until(lambda: all(talk.open_turns <= 0 for talk in listeners), 120):
            outcome.problems.append("not all turns ended")
        readers.cancel_scope.cancel()
    outcome.refused = world.refused
    for talk in listeners:
        await judge(world, talk, outcome)
    return outcome


async def replace(manager: Manager, outcome: Outcome, server: Trialogue) -> None:
    """Have a successor take its place."""
    manager.hear()
    before, began = manager.pid, trio.current_time()
    os.kill(before, signal.SIGHUP)
    with trio.move_on_after(60):
        while manager.pid == before:
            await trio.sleep(0.01)
            manager.hear()
        outcome.lasted.append(trio.current_time() - began)
        outcome.upgrades += 1
        return
    outcome.problems.append(f"nobody took over: {server.log.read_text()[-3000:]}")


async def judge(world: World, talk: Listener, outcome: Outcome) -> None:
    """Hold what a reader saw against the log, the answers and the ledger, and note what it noticed."""
    outcome.problems += [f"{talk.conversation}: {problem}" for problem in await _problems(world, talk)]
    outcome.silences.append(talk.silence)
    outcome.pauses.append(talk.pause)
    outcome.answers += talk.ended


async def _problems(world: World, talk: Listener) -> list[str]:
    (log, charged), rows = await world.books(talk), await world.rows(talk)
    problems = [*talk.problems]
    problems += [f"{talk.interrupted} answers were cut"] if talk.interrupted else []
    problems += check_order(talk.seen, talk.first) + check_order(log, 1)
    problems += check_seen(log, talk.seen) + check_runs(log)
    problems += check_messages(log, talk.acknowledged, talk.posted)
    problems += check_texts(log, rows, ANSWER)
    problems += check_charges(log, charged)
    return problems
