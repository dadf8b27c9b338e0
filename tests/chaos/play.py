"""One run of chaos: nodes, clients and a plan of faults; then peace, everything comes to its end, and all is judged."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

import trio
from chaos.asking import ask
from chaos.evidence import collect, set_witness, unfinished
from chaos.faults import Scene, bring_about, draw
from chaos.fleet import Fleet, open_fleet
from chaos.judge import judge
from chaos.talks import Clients, Record, Talk

#: Seconds in which everything comes to its end once nothing goes wrong any more.
PEACE = 90.0


@dataclass
class Outcome:
    """What came of it."""

    seed: int
    faults: Counter[str] = field(default_factory=Counter[str])
    problems: list[str] = field(default_factory=list[str])
    events: int = 0
    seen: int = 0
    claims: int = 0
    commands: int = 0
    connections: int = 0
    #: Seconds from the first attempt at a command to its acknowledgement.
    waits: list[float] = field(default_factory=list[float])
    failed_starts: int = 0
    #: By conversation, where something was wrong: its log, a line for each event.
    logs: dict[str, str] = field(default_factory=dict[str, str])

    def wait(self, share: float) -> float:
        """How long commands took, in seconds."""
        return sorted(self.waits)[int(share * (len(self.waits) - 1))] if self.waits else 0.0

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}: {self.faults.total()} faults, {len(self.problems)} violations",
            ", ".join(f"{count} {name}" for name, count in self.faults.most_common()),
            f"{self.events} events, seen {self.seen} times over {self.connections} connections; {self.claims} claims",
            f"{self.commands} commands acknowledged, within {self.wait(0.5):.2f} s (median), {self.wait(0.99):.1f} s (p99), "
            f"{self.wait(1.0):.1f} s (longest); {self.failed_starts} starts failed",
        ]
        return "\n".join([*lines, *self.problems])


async def play(seed: int, faults: int, *, nodes: int = 3, talks: int = 4, longest_pause: float = 6.0) -> Outcome:
    """So many faults, while so many conversations go on over so many nodes."""
    source, outcome = random.Random(seed), Outcome(seed)
    async with open_fleet(nodes) as fleet:
        await fleet.start()
        cookie = await fleet.register()
        clients = Clients(fleet.ports, cookie, random.Random(source.getrandbits(32)))
        await trio.to_thread.run_sync(set_witness, fleet.database.dsn)
        held = [await _begin(fleet, cookie) for _ in range(talks)]
        async with trio.open_nursery() as readers:
            for talk in held:
                for number, record in enumerate(talk.records):
                    readers.start_soon(_read, clients, talk, record, number % 2 == 1)
            await _trouble(fleet, clients, held, source, faults, longest_pause, outcome)
            await _peace(fleet, held, outcome)
            readers.cancel_scope.cancel()
        await _judge(fleet, held, outcome)
    return outcome


async def _begin(fleet: Fleet, cookie: str) -> Talk:
    status, answer = await ask(fleet.nodes[0].port, "POST", "/api/conversations", {}, cookie)
    assert status == 201, answer
    return Talk(answer["id"], [Record(), Record()])


async def _read(clients: Clients, talk: Talk, record: Record, socket: bool) -> None:
    await clients.read(talk, record, socket=socket)


async def _trouble(
    fleet: Fleet,
    clients: Clients,
    talks: list[Talk],
    source: random.Random,
    faults: int,
    longest_pause: float,
    outcome: Outcome,
) -> None:
    scene = Scene(fleet, [record for talk in talks for record in talk.records], longest_pause)
    async with trio.open_nursery() as nursery:
        for talk in talks:
            nursery.start_soon(clients.converse, talk)

        def happened(name: str) -> None:
            outcome.faults[name] += 1

        await bring_about(scene, draw(source, faults), happened)
        await fleet.heal()
        clients.stopping = True


async def _peace(fleet: Fleet, talks: list[Talk], outcome: Outcome) -> None:
    """Wait until nothing is left to be done and every reader has seen it; say what does not come to its end."""
    dsn = fleet.database.dsn
    with trio.move_on_after(PEACE) as patience:
        while await _goes_on(dsn, talks):  # noqa: ASYNC110 - the database is asked
            await trio.sleep(0.2)
    if patience.cancelled_caught:
        outcome.problems.append(f"not everything came to its end within {PEACE:g} s; logs of the nodes end with:")
        outcome.problems += [f"--- {node.name}\n{node.log()[-2000:]}" for node in fleet.nodes]


async def _goes_on(dsn: str, talks: list[Talk]) -> bool:
    if await trio.to_thread.run_sync(unfinished, dsn):
        return True
    for talk in talks:
        found = await trio.to_thread.run_sync(collect, dsn, talk.conversation)
        if any(record.last < found.next_seq - 1 for record in talk.records):
            return True
    return False


async def _judge(fleet: Fleet, talks: list[Talk], outcome: Outcome) -> None:
    for talk in talks:
        found = await trio.to_thread.run_sync(collect, fleet.database.dsn, talk.conversation)
        problems = judge(talk, found)
        outcome.problems += [f"{talk.conversation}: {problem}" for problem in problems]
        if problems:
            outcome.logs[talk.conversation] = "".join(f"{one.cursor} {one.data.decode()}\n" for one in found.log)
        outcome.events += len(found.log)
        outcome.claims += found.epoch
        outcome.seen += sum(len(record.frames) for record in talk.records)
        outcome.connections += sum(record.connections for record in talk.records)
        outcome.waits += talk.waits
    outcome.commands = len(outcome.waits)
    for node in fleet.nodes:
        outcome.problems += node.problems
        outcome.failed_starts += node.failed_starts
        if node.ended_by_itself():
            outcome.problems.append(f"{node.name} ended by itself:\n{node.log()[-3000:]}")
