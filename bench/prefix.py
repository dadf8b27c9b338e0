"""How much of a request begins with the same bytes as the one before: what the caches of providers live on.

States: over 50 turns of a long conversation with summaries, at least three quarters of all that is sent was the beginning of
the request before. Without them each turn drops the oldest messages, and next to nothing is; that figure is given too.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import msgspec
import trio
from trio.testing import MockClock

from bench.results import Row
from trialogue import CreateConversation, Limits, PostMessage, Request, TextPart, new_id, open_engine
from trialogue.testing import MemoryStore, ScriptedProvider

NAME = "prefix"
#: Turns that fill the context, and turns that are looked at.
BEFORE, TURNS = 60, 50
#: Code points of a question; with 8,192 tokens of context some 35 turns are shown.
LENGTH = 400
_ANSWER = "An answer of ordinary length, which says what there is to say. " * 2


def run(quick: bool = False) -> list[Row]:
    """Hold the same conversation with and without."""
    turns = 10 if quick else TURNS
    with_them, made = trio.run(_talk, "same", turns, clock=MockClock(autojump_threshold=0))
    without, _ = trio.run(_talk, "", turns, clock=MockClock(autojump_threshold=0))
    return [
        Row(NAME, f"the same beginning over {turns} turns, with summaries", with_them, "share", ">= 0.75"),
        Row(NAME, f"the same beginning over {turns} turns, without", without, "share"),
        Row(NAME, "summaries meanwhile", made, ""),
    ]


async def _talk(summaries: str, turns: int) -> tuple[float, int]:
    provider = ScriptedProvider(
        lambda request: ["What was said, in short. " * 40] if request.purpose == "summary" else [_ANSWER]
    )
    limits = Limits(summaries=summaries, summary_tokens=500)
    async with open_engine(MemoryStore(), [provider], limits) as engine:
        await engine.models()
        conversation = new_id()
        await engine.create(CreateConversation(conversation, "bench", datetime.now(UTC), system="Be brief."))
        for number in range(BEFORE + turns):
            text = TextPart(f"Question {number}: ".ljust(LENGTH, "."))
            ids = (new_id(), datetime.now(UTC), new_id(), new_id(), new_id())
            await engine.submit(conversation, PostMessage(*ids, (text,), "scripted:script"))
            await trio.sleep(5)
    asked = [request for request in provider.requests if request.purpose == "answer"]
    sent = [_bytes(request) for request in asked[-turns - 1 :]]
    same = sum(_common(before, after) for before, after in pairwise(sent))
    return same / sum(map(len, sent[1:])), len(provider.requests) - len(asked)


def _bytes(request: Request) -> bytes:
    """What a provider makes of it, but for its names of things."""
    said = [(message.role, message.parts) for message in request.messages]
    return msgspec.json.encode((request.system, request.tools, said))


def _common(before: bytes, after: bytes) -> int:
    low, high = 0, min(len(before), len(after))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if before[:middle] == after[:middle] else (low, middle - 1)
    return low
