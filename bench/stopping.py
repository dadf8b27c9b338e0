"""How soon a stop reaches the upstream: its socket closed, nothing generated any more that nobody wants.

States: with 100 answers being written, the upstream sees the connection of a stopped one closed within 250 ms at the 99th
percentile, and whoever asked for the stop is answered when it is. The upstream is here, so both ends are timed by one clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from bench.client import Account, Client
from bench.results import Row
from bench.servers import MODEL, Trialogue
from trialogue.testing import Pause
from trialogue.testing.upstream import HttpRequest, ReplyStep, chat_event, chat_head, http_reply, open_upstream

NAME = "stopping"
#: Answers that are being written at a time, and tokens a second of each.
LIVE, RATE = 100, 20


class Endless:
    """Answers without end, and notes when it is left alone."""

    def __init__(self) -> None:
        #: By question.
        self.closed: dict[str, float] = {}
        self.live = 0

    def reply(self, request: HttpRequest) -> Sequence[ReplyStep] | Iterator[ReplyStep]:
        """What answers a request."""
        if request.method == "GET":
            return http_reply(200, {"object": "list", "data": [{"id": MODEL.partition(":")[2]}]})
        return self._answer(str(request.json()["messages"][-1]["content"]))

    def _answer(self, question: str) -> Iterator[ReplyStep]:
        self.live += 1
        try:
            yield chat_head()
            while True:
                yield chat_event("word ")
                yield Pause(1 / RATE)
        finally:
            self.live -= 1
            self.closed[question] = time.perf_counter()


def run(quick: bool = False) -> list[Row]:
    """Stop answers one after the other, each followed by a new one, while the others go on."""
    return trio.run(_measure, 100 if quick else 400)


async def _measure(stops: int) -> list[Row]:
    endless = Endless()
    with TemporaryDirectory(prefix="trialogue-bench-") as folder:
        async with open_upstream(endless.reply) as upstream:
            settings = {"OPENAI_BASE_URL": upstream.url, "TRIALOGUE_RUN_MAX_SECONDS": "3600"}
            server = Trialogue(Path(folder), settings)
            try:
                await trio.to_thread.run_sync(server.start)
                closed, answered = await _stop_many(server, endless, stops)
            finally:
                if server.process is not None:
                    await trio.to_thread.run_sync(server.process.stop)
    return [
        Row(NAME, f"{LIVE} live, until the upstream's socket is closed, p50", _at(closed, 0.5), "ms"),
        Row(NAME, f"{LIVE} live, until the upstream's socket is closed, p99", _at(closed, 0.99), "ms", "<= 250"),
        Row(NAME, f"{LIVE} live, until the upstream's socket is closed, most", closed[-1], "ms"),
        Row(NAME, f"{LIVE} live, until the stop is answered, p99", _at(answered, 0.99), "ms"),
    ]


async def _stop_many(server: Trialogue, endless: Endless, stops: int) -> tuple[list[float], list[float]]:
    client = server.client()
    account = await trio.to_thread.run_sync(client.register)
    talks = await trio.to_thread.run_sync(client.create_conversations, account, LIVE)
    for number, talk in enumerate(talks):
        await trio.to_thread.run_sync(_ask, client, account, talk, f"first {number}")
    asked = [f"first {number}" for number in range(LIVE)]
    closed: list[float] = []
    answered: list[float] = []
    for number in range(stops):
        place = number * 37 % LIVE
        while endless.live < LIVE:  # noqa: ASYNC110 - looked at between two stops, and nothing is timed here
            await trio.sleep(0.01)
        began = time.perf_counter()
        await trio.to_thread.run_sync(_stop, client, account, talks[place])
        answered.append((time.perf_counter() - began) * 1000)
        while asked[place] not in endless.closed:  # noqa: ASYNC110 - its time was taken there
            await trio.sleep(0.001)
        closed.append((endless.closed[asked[place]] - began) * 1000)
        asked[place] = f"again {number}"
        await trio.to_thread.run_sync(_ask, client, account, talks[place], asked[place])
    return sorted(closed), sorted(answered)


def _ask(client: Client, account: Account, talk: str, question: str) -> None:
    client.must("POST", f"/api/conversations/{talk}/messages", {"text": question, "model": MODEL}, account.cookie)


def _stop(client: Client, account: Account, talk: str) -> None:
    client.must("POST", f"/api/conversations/{talk}/stop", {}, account.cookie)


def _at(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]
