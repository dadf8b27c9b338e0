"""A process that is killed has lost nothing that it acknowledged."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import trialogue_sqlite

ROUNDS = 20

#: Appends to four conversations, in turn alone and with rows, and prints each entry's place once it is acknowledged.
PROGRAM = """
import sys
from functools import partial
from pathlib import Path

import trio
import trialogue_sqlite
from trialogue.testing._kit_making import Talk, begin

async def run(store, name):
    header = await store.header(name)
    talk = await begin(store, id=name) if header is None else Talk(store, header, "node-a")
    _, talk.next_seq = await store.position(name)
    await talk.claim("node-a")
    while True:
        if talk.next_seq % 10 == 0:
            await talk.say("an owl")
        else:
            await talk.write("part.delta", "part.delta")
        print(name, talk.next_seq - 1, flush=True)

async def main():
    async with trialogue_sqlite.trialogue_store("sqlite:", Path(sys.argv[1])) as store, trio.open_nursery() as nursery:
        for name in "abcd":
            nursery.start_soon(run, store, name)

trio.run(main)
"""


async def test_kill_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """Twenty times: kill it while it writes, open what it left, and go on from there."""
    source = random.Random(os.urandom(8))
    acknowledged = dict.fromkeys("abcd", -1)
    for _ in range(ROUNDS):
        lines = killed_after(tmp_path, source.randrange(1, 200))
        for line in lines:
            name, seq = line.split()
            acknowledged[name] = max(acknowledged[name], int(seq))
        await verify(tmp_path, acknowledged)
    assert min(acknowledged.values()) > 0


def killed_after(data: Path, count: int) -> list[str]:
    """What the program printed: so many lines and what else it got out before the signal took it."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM, str(data)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(count)]
        os.kill(process.pid, signal.SIGKILL)
        lines += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    return [line for line in lines if line.endswith("\n")]


async def verify(data: Path, acknowledged: dict[str, int]) -> None:
    opening = trialogue_sqlite.trialogue_store("sqlite:", data)
    assert opening is not None
    async with opening as store:
        for name, last in acknowledged.items():
            entries = [entry.seq for entry in await store.events(name, 0, 1_000_000)]
            assert entries == list(range(len(entries)))
            assert await store.position(name) in ((0, len(entries)), None)
            assert last < len(entries)
            view = await store.view(name, 100)
            assert view is None or view.header.head == (view.messages[-1].id if view.messages else None)
