"""What a crash may cost: nothing that anyone saw, and no more than a second.

States: over N times ``kill -9`` at random moments, with answers streaming, messages queued and readers that resume by their
cursors, no event a client saw is lost or changed, none comes twice, none is missing, every run has exactly one end, every
acknowledged message took effect exactly once, completed answers are whole, and readers get their first event within a
second of the server being ready again.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from bench.processes import SERVER_CPU
from bench.results import Row
from bench.servers import Trialogue
from bench.verdict import check_charges, check_messages, check_order, check_runs, check_seen, check_texts
from bench.world import Talk, World

NAME = "kills"
#: The echo model counts, and goes on from any prefix: a seam anywhere in an answer shows in its text.
TOKENS = 120
WORDS = f"[[tokens={TOKENS} rate=200 numbered]]"
ANSWER = "".join(f"{number} " for number in range(TOKENS))


@dataclass
class Outcome:
    """What came of it: everything that was wrong, in words, and how long things took."""

    problems: list[str] = field(default_factory=list[str])
    kills: int = 0
    events: int = 0
    messages: int = 0
    #: Seconds from ready to the first event, for each reader after each restart.
    waits: list[float] = field(default_factory=list[float])
    #: Seconds from the start of the process to ready.
    starts: list[float] = field(default_factory=list[float])


def run(quick: bool = False, rounds: int = 1000) -> list[Row]:
    """Kill it ``rounds`` times."""
    with open_server() as server:
        outcome = trio.run(play, server, 20 if quick else rounds, random.Random())
    for problem in outcome.problems[:20]:
        print(problem)
    waits = sorted(outcome.waits)
    return [
        Row(NAME, "kills", outcome.kills, ""),
        Row(NAME, "events seen", outcome.events, ""),
        Row(NAME, "messages acknowledged", outcome.messages, ""),
        Row(NAME, "violations", len(outcome.problems), "", "== 0"),
        Row(NAME, "ready after start, median", sorted(outcome.starts)[len(outcome.starts) // 2], "s"),
        Row(NAME, "first event after ready, median", waits[len(waits) // 2], "s"),
        Row(NAME, "first event after ready, longest", waits[-1], "s", "<= 1"),
    ]


@contextmanager
def open_server(cpu: int = SERVER_CPU) -> Generator[Trialogue]:
    """A server on a fresh data folder, up."""
    with TemporaryDirectory(prefix="trialogue-kills-") as folder:
        server = Trialogue(Path(folder), {"TRIALOGUE_DEFAULT_MODEL": "echo:echo", "OPENAI_API_KEY": ""}, cpu)
        try:
            server.start()
            yield server
        finally:
            if server.process is not None:
                server.process.stop()


async def play(server: Trialogue, rounds: int, source: random.Random, conversations: int = 8) -> Outcome:
    """Start clients, kill and restart the server ``rounds`` times, let everything end, and check it all."""
    outcome = Outcome()
    account = await trio.to_thread.run_sync(server.client().register)
    world = World(server, account, WORDS, source)
    ids = await trio.to_thread.run_sync(server.client().create_conversations, account, conversations)
    world.talks = [Talk(one) for one in ids]
    async with trio.open_nursery() as readers:
        for talk in world.talks:
            readers.start_soon(world.read, talk)
        async with trio.open_nursery() as posters:
            for talk in world.talks:
                posters.start_soon(world.post, talk)
            for _ in range(rounds):
                await trio.sleep(source.uniform(0.05, 1.0))
                await _kill_and_restart(world, outcome)
            world.stopping = True
        await _let_it_end(world, outcome)
        readers.cancel_scope.cancel()
    for talk in world.talks:
        outcome.problems += [f"{talk.conversation}: {problem}" for problem in await _judge(world, talk)]
        outcome.events += len(talk.seen)
        outcome.messages += len(talk.acknowledged)
    return outcome


async def _kill_and_restart(world: World, outcome: Outcome) -> None:
    process = world.server.process
    assert process is not None
    if not process.alive:
        outcome.problems.append(f"the server ended by itself: {process.said()}")
    await trio.to_thread.run_sync(process.kill)
    outcome.kills += 1
    for talk in world.talks:
        talk.first_event_at = None
    began = trio.current_time()
    await trio.to_thread.run_sync(world.server.start)
    ready = trio.current_time()
    outcome.starts.append(ready - began)
    await world.until(lambda: all(talk.first_event_at is not None for talk in world.talks), 5)
    outcome.waits += [
        max(0.0, (trio.current_time() if talk.first_event_at is None else talk.first_event_at) - ready)
        for talk in world.talks
    ]


async def _let_it_end(world: World, outcome: Outcome) -> None:
    await world.until(lambda: all(talk.open_turns <= 0 for talk in world.talks), 60)
    stuck = [talk for talk in world.talks if talk.open_turns > 0]
    outcome.problems += [
        f"{talk.conversation}: {talk.open_turns} turns never ended\n{world.dump(talk)}" for talk in stuck
    ]


async def _judge(world: World, talk: Talk) -> list[str]:
    try:
        (log, charged), rows = await world.books(talk), await world.rows(talk)
    except (OSError, trio.BrokenResourceError) as error:
        process = world.server.process
        return [*talk.problems, f"it cannot be read any more ({error}): {process.said() if process else ''}"]
    problems = [*talk.problems]
    problems += check_order(talk.seen, talk.first) + check_order(log, 1)
    problems += check_seen(log, talk.seen) + check_runs(log)
    problems += check_messages(log, talk.acknowledged, talk.posted)
    problems += check_texts(log, rows, ANSWER)
    problems += check_charges(log, charged)
    return problems
