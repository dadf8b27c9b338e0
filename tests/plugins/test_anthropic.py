"""The anthropic provider, with the real SDK, against an upstream on the loopback interface that sends what a test says."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import trio
from msgspec.structs import replace

import trialogue_anthropic
from trialogue import (
    AnswerSchema,
    ConfigurationError,
    FilePart,
    FinishPiece,
    Message,
    Model,
    Piece,
    ProviderError,
    ReasoningPart,
    ReasoningPiece,
    Request,
    RequestDocument,
    Settings,
    TextPart,
    ToolSpec,
    Usage,
    UsagePiece,
)
from trialogue.anthropic_dialect import GO_ON
from trialogue.testing import Pause
from trialogue.testing.capability_kits import CitationKit, StructuredKit, ToolCallKit
from trialogue.testing.provider_kit import Case, Situation, drain, text_of_pieces
from trialogue.testing.upstream import (
    HANG_UP,
    HttpRequest,
    Reply,
    ReplyStep,
    Upstream,
    chat_head,
    http_reply,
    in_chunk,
    message_begin,
    message_block,
    message_call,
    message_citation,
    message_end,
    message_event,
    message_text,
    open_upstream,
)
from trialogue_anthropic import AnthropicProvider
from trialogue_anthropic._facts import Facts, length_of, takes_prefix

TOKENS = [f"tok{i} " for i in range(20)]
#: A model of the last generation that goes on from the beginning of its answer.
OLD, NEW = "claude-haiku-4-5-20251001", "claude-opus-5"
SILENCE = Pause(3600)


def says(tokens: Sequence[str]) -> list[ReplyStep]:
    return [chat_head(), *message_begin(), *map(message_text, tokens), *message_end()]


ANSWER = says(TOKENS)


def error(kind: str, message: str = "no") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def going_on(asked: HttpRequest) -> list[ReplyStep]:
    """What follows the beginning of the answer, if one is sent; the model begins with the space before its next word."""
    last = asked.json()["messages"][-1]
    begun = last["content"] if last["role"] == "assistant" else ""
    whole = "".join(TOKENS)
    assert whole.startswith(begun)
    rest = whole[len(begun) :]
    return says([rest[at : at + 5] for at in range(0, len(rest), 5)])


def endless_steps(_: object) -> Iterator[ReplyStep]:
    yield from [chat_head(), *message_begin()]
    while True:
        yield message_text("on ")
        yield Pause(0.01)


SAYING: list[ReplyStep] = [chat_head(), *message_begin(), message_text("Well. ")]
REPLIES: dict[Situation, Reply] = {
    "answer": going_on,
    "endless": endless_steps,
    "deaf": [SILENCE],
    "stalled": [*ANSWER[:6], SILENCE],
    "truncated": [*ANSWER[:6], HANG_UP],
    "malformed": [*ANSWER[:6], in_chunk(b"data: {what?\n\n"), SILENCE],
    "refused": http_reply(400, error("invalid_request_error")),
    "throttled": http_reply(429, error("rate_limit_error"), Retry_After="7"),
    "unavailable": http_reply(529, error("overloaded_error"), Retry_After="1"),
    "calls": [
        *SAYING,
        *message_call(1, "toolu_1", "look", '{"at": ', '"lake"}'),
        *message_call(2, "toolu_2", "look"),
        *message_end(reason="tool_use", index=None),
    ],
    "garbled_calls": [*SAYING, message_block(1, {"type": "tool_use", "id": "t", "input": {}}), SILENCE],
    "structured": says(['{"at":', ' "lake"}']),
    "cited": [*SAYING, message_citation(0, "It is deep.", "lakes.txt"), *message_end()],
}
SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}


def able(**thinking: bool) -> dict[str, Any]:
    types = {name: {"supported": value} for name, value in thinking.items()}
    named = ("image_input", "citations", "structured_outputs")
    told = {name: {"supported": True} for name in named}
    return {**told, "thinking": {"supported": True, "types": types}}


LISTED: list[dict[str, Any]] = [
    {
        "type": "model",
        "id": NEW,
        "display_name": "Claude Opus 5",
        "max_input_tokens": 1_000_000,
        "max_tokens": 128_000,
        "lifecycle": "active",
        "capabilities": able(adaptive=True, disabled=True, enabled=False),
    },
    {
        "type": "model",
        "id": OLD,
        "display_name": "Claude Haiku 4.5",
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
        "capabilities": able(adaptive=False, disabled=True, enabled=True),
    },
    {"type": "model", "id": "claude-2.1", "display_name": "Claude 2.1", "lifecycle": "retired"},
    {"id": "another"},
]
LIST = http_reply(200, {"data": LISTED, "has_more": False, "first_id": NEW, "last_id": "another"})


def message(role: Any, *parts: Any, model: str | None = None) -> Message:
    return Message("m", "c", role, tuple(parts), datetime.now(UTC), model=model)


def request(prompt: str = "Hello", model: str = OLD, **fields: Any) -> Request:
    return Request(model, (message("user", TextPart(prompt)),), **fields)


@asynccontextmanager
async def asking(
    *replies: Reply, thinks: bool = True, known: bool = True
) -> AsyncGenerator[tuple[AnthropicProvider, Upstream]]:
    """The provider, its list read if it is to be ``known``, and the upstream, which gives ``replies`` to what is asked."""
    with trio.fail_after(30):
        async with (
            open_upstream(*([LIST] if known else []), *replies) as upstream,
            aclosing(
                AnthropicProvider("sk-ant-secret123456", upstream.url.removesuffix("/v1"), thinks=thinks)
            ) as provider,
        ):
            if known:
                await provider.models()
                upstream.requests.pop()
                upstream.replies.pop(0)
            yield provider, upstream


async def answer(provider: AnthropicProvider, asked: Request | None = None) -> list[Piece]:
    async with provider.open_response(asked or request()) as stream:
        return await drain(stream)


async def collect(provider: AnthropicProvider, pieces: list[Piece]) -> None:
    async with provider.open_response(request()) as stream:
        while batch := await stream.receive():
            pieces.extend(batch)


async def sent(asked: Request, **options: Any) -> dict[str, Any]:
    async with asking(ANSWER, **options) as (provider, upstream):
        await answer(provider, asked)
    found = upstream.requests[0].json()
    assert isinstance(found, dict)
    return found


def steps_of(situation: Situation, asked: HttpRequest) -> Sequence[ReplyStep] | Iterator[ReplyStep]:
    reply = REPLIES[situation]
    return reply(asked) if callable(reply) else reply


def asked_in(situation: Situation) -> Request:
    match situation:
        case "calls":
            return replace(request(), tools=(ToolSpec("look", "Looks.", SCHEMA),))
        case "structured":
            return replace(request(), answer_schema=AnswerSchema("place", SCHEMA))
        case "cited":
            file = message("user", FilePart("f", "lakes.txt", "text/plain"), TextPart("How deep?"))
            return replace(request(), messages=(file,), documents={"f": RequestDocument("lakes.txt", "It is deep.")})
        case _:
            return request()


class TestKit(ToolCallKit, StructuredKit, CitationKit):
    @asynccontextmanager
    async def open_case(self, situation: Situation) -> AsyncGenerator[Case]:
        def reply(asked: HttpRequest) -> Sequence[ReplyStep] | Iterator[ReplyStep]:
            return LIST if asked.method == "GET" else steps_of(situation, asked)

        async with asking(reply, known=False) as (provider, upstream):
            yield Case(provider, asked_in(situation), upstream.wait_idle, upstream.wait_busy)


def test_it_is_declared_when_there_is_something_to_ask() -> None:
    declare = trialogue_anthropic.trialogue_providers
    assert declare({}) == []
    (official,) = declare({"ANTHROPIC_API_KEY": "sk-ant-secret123456"})
    assert not official.accepts("claude")
    assert official.vendor == "anthropic"
    assert "secret" not in repr(official)
    (other,) = declare({"ANTHROPIC_BASE_URL": "http://127.0.0.1:1", "TRIALOGUE_ANTHROPIC_THINKING": "off"})
    assert other.accepts("anything/at-all")
    assert other.vendor is None


@pytest.mark.parametrize("variable", ["TRIALOGUE_ANTHROPIC_THINKING", "TRIALOGUE_ANTHROPIC_THINKNG"])
def test_a_setting_that_cannot_be_meant_is_refused(variable: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        trialogue_anthropic.trialogue_providers({variable: "perhaps"})


def test_a_missing_sdk_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trialogue_anthropic, "find_spec", lambda _: None)
    assert trialogue_anthropic.trialogue_providers({}) == []
    with pytest.raises(ConfigurationError, match=r"install trialogue\[anthropic\]"):
        trialogue_anthropic.trialogue_providers({"ANTHROPIC_API_KEY": "sk"})


async def test_a_request_holds_what_the_upstream_needs() -> None:
    async with asking(ANSWER) as (provider, upstream):
        await answer(provider, request("Grüezi", settings=Settings(max_tokens=9), system="be brief"))
    (arrived,) = upstream.requests
    assert (arrived.method, arrived.path) == ("POST", "/v1/messages")
    assert arrived.headers["authorization"] == "Bearer sk-ant-secret123456"
    assert arrived.headers["x-api-key"] == "sk-ant-secret123456"
    assert arrived.headers["anthropic-version"] >= "2023-06-01"
    assert arrived.headers["accept-encoding"] == "identity"
    assert arrived.json() == {
        "model": OLD,
        "max_tokens": 9,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Grüezi"}]}],
        "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
        "stream": True,
    }


async def test_what_the_sdk_would_send_is_sent() -> None:
    async with asking(ANSWER) as (provider, upstream):
        await answer(provider)
        assert provider._upstream is not None
        response = await provider._upstream.post(b"{}")
        await response.aread()
    ours, theirs = upstream.requests
    assert ours.headers.pop("content-length") != theirs.headers.pop("content-length")
    assert ours.headers == theirs.headers
    assert (ours.method, ours.path) == (theirs.method, theirs.path)


async def test_how_words_are_drawn_is_set_in_the_version_that_knows_of_it() -> None:
    async with asking(ANSWER) as (provider, upstream):
        for settings in (Settings(), Settings(temperature=0.5), Settings(top_p=0.1), Settings()):
            await answer(provider, request(settings=settings))
    versions = [asked.headers["anthropic-version"] for asked in upstream.requests]
    assert versions[1:3] == ["2023-06-01"] * 2
    assert versions[0] == versions[3]
    assert [asked.json().get("temperature") for asked in upstream.requests] == [None, 0.5, None, None]


async def test_an_answer_becomes_pieces() -> None:
    async with asking(ANSWER) as (provider, upstream):
        for _ in range(3):
            pieces = await answer(provider)
        assert upstream.connections == 2, "one for the list, and one for all answers"
    assert text_of_pieces(pieces) == "".join(TOKENS)
    assert pieces[-2:] == [FinishPiece("stop"), UsagePiece(Usage("reported", 7, 3))]


async def test_models_are_listed_with_what_they_can() -> None:
    async with asking(LIST, known=False) as (provider, upstream):
        for _ in range(2):
            models = await provider.models()
    assert [asked.path for asked in upstream.requests] == ["/v1/models?limit=1000"]
    can_new = ("vision", "tools", "structured_output", "citations", "reasoning")
    can_old = ("vision", "tools", "structured_output", "citations", "continues")
    assert models == [
        Model(f"anthropic:{NEW}", "anthropic", "Claude Opus 5", 1_000_000, can_new, output_tokens=128_000),
        Model(f"anthropic:{OLD}", "anthropic", "Claude Haiku 4.5", 200_000, can_old, output_tokens=64_000),
        Model("anthropic:another", "anthropic", "another", 200_000, ("tools",)),
    ]


async def test_the_list_is_asked_for_as_the_sdk_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Team: chat\nAnthropic-Beta: things")
    async with asking(LIST, known=False) as (provider, upstream):
        await provider.models()
        await (await provider._opened()).sdk.models.list(limit=1000)
    ours, theirs = upstream.requests
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    said = {name: value for name, value in theirs.headers.items() if not name.startswith("x-stainless")}
    assert ours.headers == said | {"user-agent": ours.headers["user-agent"]}


@pytest.mark.parametrize("reply", [http_reply(404, error("not_found_error")), http_reply(200, "hello"), [HANG_UP]])
async def test_an_upstream_without_a_list_has_no_models(reply: Reply) -> None:
    async with asking(reply, known=False) as (provider, upstream):
        assert await provider.models() == ()
        assert await provider.models() == ()
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("model", "takes"),
    [
        ("claude-3-haiku-20240307", True),
        ("claude-3-7-sonnet-latest", True),
        ("claude-sonnet-4-20250514", True),
        ("claude-opus-4-0", True),
        ("claude-opus-4-1-20250805", True),
        ("claude-sonnet-4-5", True),
        (OLD, True),
        ("claude-opus-4-6", False),
        ("claude-sonnet-4-6-20260218", False),
        ("claude-opus-4-8", False),
        (NEW, False),
        ("claude-sonnet-5-5", False),
        ("llama3", False),
    ],
)
def test_models_that_take_a_prefix(model: str, takes: bool) -> None:
    assert takes_prefix(model) is takes


async def test_a_model_that_takes_no_prefix_is_asked_to_go_on() -> None:
    last = (await sent(request(model=NEW, prefix="tok0 ")))["messages"][-2:]
    assert [(one["role"], one["content"]) for one in last] == [("assistant", "tok0"), ("user", GO_ON)]


@pytest.mark.parametrize(
    ("facts", "wanted", "length"),
    [
        (None, None, 8192),
        (None, 50_000, 50_000),
        (Facts(Model("a:m", "a", "m", 200_000, output_tokens=64_000)), None, 50_000),
        (Facts(Model("a:m", "a", "m", 200_000, output_tokens=4_096)), None, 4_096),
        (Facts(Model("a:m", "a", "m", 200_000, output_tokens=4_096)), 9_999, 4_096),
        (Facts(Model("a:m", "a", "m", 200_000, output_tokens=4_096)), 7, 7),
        (Facts(Model("a:m", "a", "m", 200_000)), 9_999, 9_999),
        (Facts(Model("a:m", "a", "m", 2_000)), None, 500),
    ],
)
def test_an_answer_may_be_as_long_as_it_can(facts: Facts | None, wanted: int | None, length: int) -> None:
    assert length_of(facts, wanted) == length


@pytest.mark.parametrize(
    ("model", "thinks", "settings", "expected"),
    [
        (NEW, True, Settings(), {"type": "adaptive", "display": "summarized"}),
        (NEW, False, Settings(), {"type": "disabled"}),
        (NEW, True, Settings(temperature=0.5), None),
        (OLD, True, Settings(), None),
        (OLD, False, Settings(), None),
        ("unknown", True, Settings(), None),
    ],
)
async def test_models_that_think_are_asked_to(
    model: str, thinks: bool, settings: Settings, expected: dict[str, str] | None
) -> None:
    assert (await sent(request(model=model, settings=settings), thinks=thinks)).get("thinking") == expected


# --- thoughts ----------------------------------------------------------------------------------------------------------

THOUGHT: list[ReplyStep] = [
    chat_head(),
    *message_begin()[:1],
    message_event("content_block_start", index=0, content_block={"type": "thinking", "thinking": "", "signature": ""}),
    message_event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "hm"}),
    message_event("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "c2VhbA=="}),
    message_event("content_block_stop", index=0),
    message_text("yes"),
    *message_end(),
]


async def test_thoughts_come_sealed() -> None:
    async with asking(THOUGHT) as (provider, _):
        pieces = await answer(provider, request(model=NEW))
    assert pieces[:2] == [ReasoningPiece("hm"), ReasoningPiece("", "c2VhbA==")]


async def test_paused_turn_is_gone_on_with_where_it_was() -> None:
    paused = [chat_head(), *message_begin(), message_text("One, "), *message_end(reason="pause_turn")]
    on = [chat_head(), *message_begin(), message_text(" two."), *message_end()]
    async with asking(paused, on) as (provider, upstream):
        first = await answer(provider, request(model=NEW))
        assert first[-2].reason == "pause"  # type: ignore[union-attr]  # a finish
        said = message("assistant", TextPart("One, "), model=f"anthropic:{NEW}")
        pieces = await answer(provider, Request(NEW, (message("user", TextPart("?")), said), paused=True))
    # The space that cannot be sent is not doubled.
    assert text_of_pieces(pieces) == "two."
    last = upstream.requests[1].json()["messages"][-1]
    assert last == {"role": "assistant", "content": [{"type": "text", "text": "One,"}]}


@pytest.mark.parametrize("url", ["http://[x", "http://x:y", "localhost:80"])
def test_address_that_is_none_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        trialogue_anthropic.trialogue_providers({"ANTHROPIC_BASE_URL": url})
    assert str(caught.value) == "ANTHROPIC_BASE_URL must be an http or https address"


def thoughtful() -> Request:
    said = message("assistant", ReasoningPart("hm", "c2VhbA=="), TextPart("yes"), model=f"anthropic:{NEW}")
    return Request(NEW, (message("user", TextPart("?")), said, message("user", TextPart("!"))))


def thoughts_in(asked: HttpRequest) -> list[str]:
    return [block["thinking"] for one in asked.json()["messages"] for block in one["content"] if "thinking" in block]


@pytest.mark.parametrize(
    "words",
    [
        "messages.1.content.0: Invalid `signature` in `thinking` block.",
        "prompt is too long: 200001 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
    ],
)
async def test_thoughts_that_are_not_taken_back_are_left_out(words: str) -> None:
    async with asking(http_reply(400, error("invalid_request_error", words)), ANSWER) as (provider, upstream):
        assert text_of_pieces(await answer(provider, thoughtful())).startswith("tok0 ")
    assert [thoughts_in(asked) for asked in upstream.requests] == [["hm"], []]


async def test_another_refusal_is_told() -> None:
    async with asking(http_reply(400, error("invalid_request_error", "temperature is deprecated"))) as (
        provider,
        upstream,
    ):
        with pytest.raises(ProviderError, match="deprecated"):
            await answer(provider, thoughtful())
    assert len(upstream.requests) == 1


# --- trouble -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "name"),
    [
        (400, "refused", "invalid_request_error"),
        (401, "refused", "authentication_error"),
        (403, "refused", "permission_error"),
        (404, "refused", "not_found_error"),
        (413, "refused", "request_too_large"),
        (429, "throttled", "rate_limit_error"),
        (500, "unavailable", "api_error"),
        (529, "unavailable", "overloaded_error"),
    ],
)
async def test_a_refusal_is_told_once_in_the_upstreams_words(status: int, kind: str, name: str) -> None:
    words = "Bad x-api-key sk-ant-secret123456.\n" + "x" * 999
    async with asking(http_reply(status, error(name, words), Retry_After="2")) as (provider, upstream):
        with pytest.raises(ProviderError, match=f"{status}: Bad x-api-key") as caught:
            await answer(provider)
    assert caught.value.kind == kind
    assert caught.value.retry_after == 2
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("trouble", [http_reply(500, error("api_error")), [HANG_UP]])
async def test_trouble_is_told_at_once(trouble: Sequence[ReplyStep]) -> None:
    """Asking again is the server's business, which counts how often it does."""
    async with asking(trouble, ANSWER) as (provider, upstream):
        with pytest.raises(ProviderError) as caught:
            await answer(provider)
    assert caught.value.kind == "unavailable"
    assert len(upstream.requests) == 1


async def test_an_overload_in_the_stream_comes_after_what_was_read() -> None:
    overload = message_event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    pieces: list[Piece] = []
    async with asking([*ANSWER[:5], overload, SILENCE]) as (provider, _):
        with pytest.raises(ProviderError, match="Overloaded") as caught:
            await collect(provider, pieces)
    assert caught.value.kind == "unavailable"
    assert text_of_pieces(pieces) == "tok0 tok1 "


async def test_the_real_service_is_not_asked_in_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIALOGUE_FORBID_MODEL_CALLS", "1")
    provider = AnthropicProvider("sk-ant-secret123456")
    for ask in (provider.models, lambda: answer(provider)):
        with pytest.raises(ProviderError, match="forbidden"):
            await ask()


#: In a fresh interpreter, because this one has imported the SDKs: a token's CPU time by our way, by that of the SDK.
MEASURE = """if True:
    import sys, time, trio, anthropic
    from datetime import UTC, datetime
    from trialogue import Message, Request, TextPart
    from trialogue_anthropic import AnthropicProvider

    url, rounds = sys.argv[1], int(sys.argv[2])
    request = Request("m", (Message("m", "c", "user", (TextPart("hi"),), datetime.now(UTC)),))

    async def ours(provider):
        async with provider.open_response(request) as stream:
            while await stream.receive():
                pass

    async def theirs(sdk):
        async with await sdk.messages.create(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}], stream=True
        ) as stream:
            async for _ in stream:
                pass

    async def spent(ask, of):
        await ask(of)
        before = time.process_time()
        for _ in range(rounds):
            await ask(of)
        return time.process_time() - before

    async def main():
        provider, sdk = AnthropicProvider("sk", url), anthropic.AsyncAnthropic(api_key="sk", base_url=url)
        mine, other = await spent(ours, provider), await spent(theirs, sdk)
        await provider.aclose()
        await sdk.close()
        print(mine / other)

    trio.run(main)
"""


async def test_a_token_costs_less_than_half_of_what_it_costs_through_the_sdk() -> None:
    whole = [b"".join(step for step in says(["tok "] * 500) if isinstance(step, bytes))]
    async with open_upstream(whole) as upstream:
        command = [sys.executable, "-c", MEASURE, upstream.url.removesuffix("/v1"), "10"]
        with trio.fail_after(60):
            done = await trio.run_process(command, capture_stdout=True)
    assert float(done.stdout) < 0.5
