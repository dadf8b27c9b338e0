"""Hundreds of answers over real sockets, in both dialects, by an upstream that fails in every way: texts, ends and sockets.

The storm in virtual time (``tests/core/test_storm.py``) is larger; here the providers' own ways through the wire are tried.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from typing import Any

import trio
from msgspec.structs import replace
from support import Reader, fold, open_talk

from trialogue import AskingLimits, Backoff, BreakerLimits, Limits, RunStarted, open_engine
from trialogue.testing import MemoryStore, Pause
from trialogue.testing.upstream import (
    HANG_UP,
    HttpRequest,
    ReplyStep,
    chat_end,
    chat_event,
    chat_head,
    http_reply,
    in_chunk,
    message_begin,
    message_end,
    message_event,
    message_text,
    open_upstream,
)
from trialogue_anthropic import AnthropicProvider
from trialogue_openai import OpenAIProvider

QUESTIONS, BESIDE = 160, 40
#: Of the upstream's answers, as many as others are whole.
FAULTS = ("reset", "500", "429", "400", "slow", "deaf", "garbage", "truncated", "stall", "overloaded")
LIMITS = Limits(
    stall=0.5,
    asking=AskingLimits(
        first_token=0.5,
        backoff=Backoff(first=0.02, longest=0.1),
        breaker=BreakerLimits(failures=20, rest=0.1, longest=0.2),
    ),
    fallbacks={"openai:m": ("anthropic:m",), "anthropic:m": ("openai:m",)},
    failovers=4,
)


def words(question: str) -> list[str]:
    """The answer to a question, the same in both dialects."""
    return [f"{question}-{number} " for number in range(1 + hash_of(question) % 25)]


def hash_of(text: str) -> int:
    return random.Random(text).randrange(1000)


class FaultyUpstream:
    """Answers requests of either dialect, about half of them badly."""

    def __init__(self, seed: int) -> None:
        self._source = random.Random(seed)
        self.faults: set[str] = set()

    def reply(self, request: HttpRequest) -> Sequence[ReplyStep] | Iterator[ReplyStep]:
        if request.method == "GET":
            return http_reply(200, {"object": "list", "data": []})
        source, asked = self._source, request.json()
        question = _text(next(one["content"] for one in reversed(asked["messages"]) if one["role"] == "user"))
        fault = source.choice(FAULTS) if source.random() < 0.5 else ""
        self.faults.add(fault)
        match fault:
            case "reset":
                return [HANG_UP]
            case "500" | "400":
                return http_reply(int(fault), {"error": {"message": "no"}})
            case "429":
                return http_reply(429, {"error": {"message": "later"}}, Retry_After_Ms=source.choice(("20", "90000")))
            case _:
                return self._stream(words(question), fault, chat=request.path.endswith("/chat/completions"))

    def _stream(self, said: list[str], fault: str, *, chat: bool) -> Iterator[ReplyStep]:
        if fault in ("slow", "deaf"):
            yield Pause(0.2 if fault == "slow" else 3600)
        yield chat_head()
        if not chat:
            yield from message_begin()
        broken = fault in ("garbage", "truncated", "stall", "overloaded")
        for word in said[: self._source.randint(0, len(said))] if broken else said:
            yield chat_event(word) if chat else message_text(word)
            if self._source.random() < 0.1:
                yield Pause(0.01)
        match fault:
            case "garbage":
                yield in_chunk(b"data: {what?\n\n")
            case "truncated":
                yield HANG_UP
            case "stall":
                yield Pause(3600)
            case "overloaded" if not chat:
                yield message_event("error", error={"type": "overloaded_error", "message": "Overloaded"})
            case "overloaded":
                yield in_chunk(b'data: {"error": {"message": "Overloaded", "code": 503}}\n\n')
            case _:
                yield from chat_end(7, len(said)) if chat else message_end(len(said))


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(block.get("text", "") for block in content)


async def test_nothing_hangs_is_doubled_or_leaks() -> None:
    faulty, store, before = FaultyUpstream(3), MemoryStore(), _descriptors()
    with trio.fail_after(100):
        async with (
            open_upstream(faulty.reply) as upstream,
            aclosing(OpenAIProvider("sk-one", upstream.url)) as openai,
            aclosing(AnthropicProvider("sk-two", upstream.url.removesuffix("/v1"))) as anthropic,
        ):
            async with open_engine(store, [openai, anthropic], LIMITS, random=random.Random(3)) as engine:
                readers: list[Reader] = []

                async def converse(first: int) -> None:
                    talk = await open_talk(engine, "openai:m" if first % 2 else "anthropic:m")
                    for number in range(first, QUESTIONS, BESIDE):
                        await talk.engine.submit(talk.id, replace(talk.post_command(f"q{number}")))
                        await talk.settled()
                    events = await talk.events()
                    starts = {event.run for event in events if isinstance(event, RunStarted)}
                    readers.append(fold(events))
                    assert set(readers[-1].ends) == starts

                async with trio.open_nursery() as nursery:
                    for first in range(BESIDE):
                        nursery.start_soon(converse, first)
                with trio.fail_after(20):
                    await upstream.wait_idle()
                assert engine.statistics()["shards"]["live"] == 0  # type: ignore[index]
            _judge(readers)
            assert faulty.faults == {*FAULTS, ""}
    assert _descriptors() <= before


def _judge(readers: Sequence[Reader]) -> None:
    whole = 0
    for reader in readers:
        assert set(map(len, reader.ends.values())) == {1}, "each run ends once"
        for answer, row in reader.messages.items():
            if row["role"] == "assistant":
                wanted, text = "".join(words(reader.text(str(row["parent"])))), reader.text(answer)
                assert wanted.startswith(text), "a text with a hole, or something said twice"
                whole += wanted == text
    assert whole > QUESTIONS / 2
    assert sum(len(reader.ends) for reader in readers) > 1.25 * QUESTIONS


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
