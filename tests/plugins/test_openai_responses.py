"""The openai provider by Responses, with the real SDK, against an upstream on the loopback interface."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import ClassVar

import msgspec
import pytest
import trio
from msgspec.structs import replace

from trialogue import (
    AnswerSchema,
    FinishPiece,
    HandlePiece,
    Message,
    Piece,
    ProviderError,
    ReasoningPart,
    Request,
    Settings,
    TextPart,
    ToolCallPiece,
    ToolSpec,
)
from trialogue.testing import Pause
from trialogue.testing.capability_kits import KeptKit, StructuredKit, ToolCallKit
from trialogue.testing.provider_kit import Case, Situation, drain, text_of_pieces
from trialogue.testing.upstream import (
    HANG_UP,
    HttpRequest,
    Reply,
    ReplyStep,
    Upstream,
    chat_end,
    chat_event,
    chat_head,
    http_reply,
    in_chunk,
    open_upstream,
)
from trialogue.testing.upstream_responses import (
    KeptResponses,
    begin_events,
    call_events,
    end_event,
    response_object,
    response_steps,
    text_events,
)
from trialogue_openai import OpenAIProvider, _kept
from trialogue_openai._asking import ResponsesAsked, speaks_responses
from trialogue_openai._profiles import Profile

TEXT = "".join(f"tok{i} " for i in range(20))
EVENTS = [*begin_events(), *text_events(*(f"tok{i} " for i in range(20))), end_event()]
ANSWER = response_steps(EVENTS)
SILENCE = Pause(3600)
LIST = http_reply(200, {"object": "list", "data": [{"id": "m"}]})


def endless_steps(_: object) -> Iterator[ReplyStep]:
    yield from ANSWER[:5]
    while True:
        yield ANSWER[5]
        yield Pause(0.01)


REPLIES: dict[Situation, Reply] = {
    "answer": ANSWER,
    "endless": endless_steps,
    "deaf": [SILENCE],
    "stalled": [*ANSWER[:8], SILENCE],
    "truncated": [*ANSWER[:8], HANG_UP],
    "malformed": [*ANSWER[:8], in_chunk(b"data: {what?\n\n"), SILENCE],
    "refused": http_reply(400, {"error": {"message": "no such model"}}),
    "throttled": http_reply(429, {"error": {"message": "slow down"}}, Retry_After="7"),
    "unavailable": http_reply(503, {"error": {"message": "later"}}, Retry_After="1"),
    "calls": response_steps(
        [
            *begin_events(),
            *call_events("call_1", "look", '{"at": ', '"lake"}'),
            *call_events("call_2", "look", item=1),
            end_event(),
        ]
    ),
    "garbled_calls": response_steps([*begin_events(), *text_events("a"), *call_events("call_1", ""), end_event()]),
    "structured": response_steps([*begin_events(), *text_events('{"at":', ' "lake"}'), end_event()]),
}
SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}


def request(prompt: str = "Hello", model: str = "m") -> Request:
    return Request(model, (Message("m", "c", "user", (TextPart(prompt),), datetime.now(UTC)),))


def steps_of(situation: Situation, asked: HttpRequest) -> Sequence[ReplyStep] | Iterator[ReplyStep]:
    reply = REPLIES[situation]
    return reply(asked) if callable(reply) else reply


@asynccontextmanager
async def asking(*replies: Reply, background: bool = False) -> AsyncGenerator[tuple[OpenAIProvider, Upstream]]:
    with trio.fail_after(30):
        async with open_upstream(*replies) as upstream:
            profile = Profile(key="sk-secret123456", base_url=upstream.url, api="responses", background=background)
            async with aclosing(OpenAIProvider(None, profile=profile)) as provider:
                yield provider, upstream


async def answer(provider: OpenAIProvider, asked: Request | None = None) -> list[Piece]:
    async with provider.open_response(asked or request()) as stream:
        return await drain(stream)


async def collect(provider: OpenAIProvider, pieces: list[Piece]) -> None:
    async with provider.open_response(request()) as stream:
        while batch := await stream.receive():
            pieces.extend(batch)


def asked_in(situation: Situation) -> Request:
    match situation:
        case "calls":
            return replace(request(), tools=(ToolSpec("look", "Looks.", SCHEMA),))
        case "structured":
            return replace(request(), answer_schema=AnswerSchema("place", SCHEMA))
        case _:
            return request()


class TestKit(ToolCallKit, StructuredKit, KeptKit):
    not_applicable: ClassVar[dict[Situation, str]] = {"prefix": "Responses cannot be made to go on from a text"}

    @asynccontextmanager
    async def open_case(self, situation: Situation) -> AsyncGenerator[Case]:
        kept = KeptResponses(EVENTS)

        def reply(asked: HttpRequest) -> Sequence[ReplyStep] | Iterator[ReplyStep]:
            if situation == "kept":
                return kept(asked)
            return LIST if asked.method == "GET" else steps_of(situation, asked)

        async with asking(reply, background=situation == "kept") as (provider, upstream):
            yield Case(provider, asked_in(situation), upstream.wait_idle, upstream.wait_busy)


async def test_it_is_asked_where_responses_are() -> None:
    async with asking(ANSWER) as (provider, upstream):
        assert text_of_pieces(await answer(provider)) == TEXT
    (arrived,) = upstream.requests
    assert arrived.path == "/v1/responses"
    assert arrived.headers["authorization"] == "Bearer sk-secret123456"
    assert arrived.json()["store"] is False


async def test_tools_are_called() -> None:
    events = [*begin_events(), *call_events("call_1", "look", '{"at": ', "1}"), end_event()]
    async with asking(response_steps(events)) as (provider, _):
        pieces = await answer(provider)
    assert pieces[:2] == [ToolCallPiece("look", '{"at": 1}', "call_1"), FinishPiece("tool_call")]


# --- which of the dialects -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "settings", "expected"),
    [
        (Profile(), Settings(), True),
        (Profile(base_url="https://api.openai.com/v1"), Settings(), True),
        (Profile(), Settings(stop=("x",)), False),
        (Profile(), Settings(seed=1), False),
        (Profile(base_url="http://127.0.0.1:1/v1"), Settings(), False),
        (Profile(base_url="http://127.0.0.1:1/v1", api="responses"), Settings(stop=("x",)), True),
        (Profile(api="chat"), Settings(), False),
    ],
)
def test_responses_are_openais_own(profile: Profile, settings: Settings, expected: bool) -> None:
    assert speaks_responses(profile, msgspec.structs.replace(request(), settings=settings)) is expected


async def test_others_are_asked_by_chat_completions() -> None:
    chat = [chat_head(), chat_event("hi"), *chat_end()]
    async with open_upstream(chat) as upstream, aclosing(OpenAIProvider("sk", upstream.url)) as provider:
        with trio.fail_after(30):
            assert text_of_pieces(await answer(provider)) == "hi"
    assert upstream.requests[0].path == "/v1/chat/completions"


# --- thoughts ------------------------------------------------------------------------------------------------------


def asked(model: str, *parts: ReasoningPart | TextPart, thinking: bool = True) -> ResponsesAsked:
    said = Message("n", "c", "assistant", parts, datetime.now(UTC), model=f"openai:{model}")
    question = msgspec.structs.replace(request(model=model), messages=(*request().messages, said))
    return ResponsesAsked(Profile(thinking=thinking), question, summaries=True)


@pytest.mark.parametrize(
    ("model", "thinks"),
    [("gpt-4o", False), ("gpt-5-mini", True), ("gpt-5-chat-latest", False), ("o3", True), ("gpt-12", True)],
)
def test_models_that_think_are_asked_for_thoughts(model: str, thinks: bool) -> None:
    sent = msgspec.json.decode(asked(model).body())
    assert sent.get("include") == (["reasoning.encrypted_content"] if thinks else None)
    assert sent.get("reasoning") == ({"summary": "auto"} if thinks else None)
    assert "reasoning" not in msgspec.json.decode(asked(model, thinking=False).body())


def test_what_is_not_granted_is_left_out() -> None:
    question = asked("o3", ReasoningPart("hm", "rs_1:sealed"), TextPart("a"))
    assert b'"rs_1"' in question.body()
    summary = ProviderError("400: you must be verified to generate reasoning summaries", kind="refused")
    assert question.without(summary)
    assert b'"summary":"auto"' not in question.body()
    assert b'"rs_1"' in question.body()
    sealed = ProviderError("400: The encrypted content could not be verified", kind="refused")
    assert question.without(sealed)
    assert b'"rs_1"' not in question.body()
    assert not question.without(sealed), "there is nothing more to leave out"
    assert not asked("o3").without(ProviderError("reasoning", kind="throttled"))
    assert not asked("o3").without(ProviderError("no such model", kind="refused"))


# --- what the upstream keeps ---------------------------------------------------------------------------------------


async def test_a_connection_that_breaks_is_not_seen() -> None:
    kept = KeptResponses(EVENTS, hang_up=2)
    async with asking(kept, background=True) as (provider, upstream):
        pieces = await answer(provider)
    assert text_of_pieces(pieces) == TEXT
    assert (kept.begun[0]["background"], kept.begun[0]["store"]) == (True, True)
    assert len(kept.begun) == 1
    assert len(kept.resumed) == 2
    assert "authorization" in upstream.requests[1].headers


async def test_a_connection_that_breaks_for_ever_is_broken() -> None:
    kept = KeptResponses(EVENTS, hang_up=99)
    pieces: list[Piece] = []
    async with asking(kept, background=True) as (provider, _):
        with pytest.raises(ProviderError) as caught:
            await collect(provider, pieces)
    assert caught.value.kind == "broken"
    assert TEXT.startswith(text_of_pieces(pieces))
    assert len(kept.resumed) == 4


async def test_an_upstream_may_be_gone_for_a_moment() -> None:
    kept = KeptResponses(EVENTS, hang_up=1)
    away: list[list[ReplyStep]] = [http_reply(503, {"error": {"message": "in a moment"}}), [HANG_UP]]

    def reply(asked: HttpRequest) -> Sequence[ReplyStep] | Iterator[ReplyStep]:
        if asked.method == "GET" and away:
            return away.pop()
        return kept(asked)

    async with asking(reply, background=True) as (provider, _):
        assert text_of_pieces(await answer(provider)) == TEXT
    assert len(kept.begun) == 1


async def test_a_response_that_failed_is_not_taken_up_again() -> None:
    failed = end_event("failed", error={"code": "server_error", "message": "oops"})
    kept = KeptResponses([*EVENTS[:9], failed])
    async with asking(kept, background=True) as (provider, _):
        with pytest.raises(ProviderError, match="oops"):
            await answer(provider)
    assert not kept.resumed


async def test_another_process_goes_on_where_one_left_off() -> None:
    gate = trio.Event()
    kept = KeptResponses([*EVENTS[:9], gate, *EVENTS[9:]])
    async with asking(kept, background=True) as (provider, upstream):
        pieces: list[Piece] = []
        async with provider.open_response(request()) as stream:
            while text_of_pieces(pieces) != "tok0 tok1 tok2 tok3 tok4 ":
                pieces += await stream.receive()
        last = pieces[-1]
        assert isinstance(last, HandlePiece)
        gate.set()
        profile = Profile(base_url=upstream.url, api="responses", background=True)
        async with (
            aclosing(OpenAIProvider(None, profile=profile)) as other,
            other.reopen("m", last.handle, last.cursor) as stream,
        ):
            pieces += await drain(stream)
    assert text_of_pieces(pieces) == TEXT
    assert kept.resumed == [last.cursor]
    assert kept.cancelled == 0, "leaving a block does not give up what is kept"


async def test_what_the_upstream_does_not_have_is_refused() -> None:
    kept = KeptResponses(EVENTS)
    async with asking(kept, background=True) as (provider, _):
        with pytest.raises(ProviderError, match="404") as caught:
            async with provider.reopen("m", "../resp_9", 3):
                raise AssertionError("it was there")
        assert caught.value.kind == "refused"
        kept.refusal = http_reply(400, {"error": {"message": "This response can no longer be streamed"}})
        with pytest.raises(ProviderError, match="no longer be streamed"):
            async with provider.reopen("m", "resp_1", 3):
                raise AssertionError("it was there")


TOO_OLD = http_reply(400, {"error": {"message": "This response can no longer be streamed"}})
OUTPUT = [{"type": "message", "content": [{"type": "output_text", "text": TEXT}]}]


async def test_what_is_not_streamed_any_more_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that breaks when the upstream streams it no longer, and a process that comes too late."""
    monkeypatch.setattr(_kept, "POLL", 0.01)
    kept = KeptResponses(EVENTS, hang_up=1)
    kept.refusal = TOO_OLD
    kept.wholes = [
        response_object("in_progress"),
        response_object("in_progress"),
        end_event(output=OUTPUT)["response"],
    ]
    async with asking(kept, background=True) as (provider, _):
        pieces = await answer(provider)
        assert text_of_pieces(pieces) == TEXT
        assert FinishPiece("stop") in pieces
        handle = next(piece for piece in pieces if isinstance(piece, HandlePiece))
        async with provider.reopen("m", handle.handle, handle.cursor, (TextPart("tok0 tok1"),)) as stream:
            rest = await drain(stream)
        assert "tok0 tok1" + text_of_pieces(rest) == TEXT
    assert len(kept.begun) == 1


@pytest.mark.parametrize("whole", [b"[" * 100_000, b'{"status": "completed", "output": ', b"\xff\xfe"])
async def test_whole_that_cannot_be_read_is_malformed(whole: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(whole)}\r\n\r\n"

    def reply(asked: HttpRequest) -> list[ReplyStep]:
        # It is streamed no more, and as a whole it is junk.
        return TOO_OLD if "stream" in asked.path else [head.encode() + whole]

    async with asking(reply, background=True) as (provider, _):
        with pytest.raises(ProviderError, match="cannot be read") as caught:
            async with provider.reopen("m", "resp_1", 3) as stream:
                await drain(stream)
    assert caught.value.kind == "malformed"


async def test_what_nobody_wants_is_given_up() -> None:
    kept = KeptResponses(EVENTS)
    async with asking(kept, background=True) as (provider, upstream):
        await provider.discard("m", "resp_1")
    assert kept.cancelled == 1
    assert upstream.requests[0].path == "/v1/responses/resp_1/cancel"
