"""The openai provider, with the real SDK, against an upstream on the loopback interface that sends what each test says."""

from __future__ import annotations

import gzip
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar

import pytest
import trio
from msgspec.structs import replace

import trialogue_openai
from trialogue import (
    AnswerSchema,
    ConfigurationError,
    FinishPiece,
    Message,
    Piece,
    ProviderError,
    Request,
    Settings,
    TextPart,
    TextPiece,
    ToolSpec,
    Usage,
    UsagePiece,
)
from trialogue.testing import Pause
from trialogue.testing.capability_kits import StructuredKit, ToolCallKit
from trialogue.testing.provider_kit import Case, Situation, drain, text_of_pieces
from trialogue.testing.upstream import (
    HANG_UP,
    HttpRequest,
    Reply,
    ReplyStep,
    Upstream,
    chat_call,
    chat_end,
    chat_event,
    chat_head,
    http_reply,
    in_chunk,
    open_upstream,
)
from trialogue.upstreams import DecodedStream, PlainBody, WireBody
from trialogue_openai import OpenAIProvider

ANSWER: list[ReplyStep] = [chat_head(), chat_event(""), *(chat_event(f"tok{i} ") for i in range(20)), *chat_end()]
SILENCE = Pause(3600)


def request(prompt: str = "Hello", model: str = "m") -> Request:
    return Request(model, (Message("m", "c", "user", (TextPart(prompt),), datetime.now(UTC)),))


def endless_steps(_: object) -> Iterator[ReplyStep]:
    yield chat_head()
    while True:
        yield chat_event("on ")
        yield Pause(0.01)


REPLIES: dict[Situation, Reply] = {
    "answer": ANSWER,
    "endless": endless_steps,
    "deaf": [SILENCE],
    "stalled": [*ANSWER[:5], SILENCE],
    "truncated": [*ANSWER[:5], HANG_UP],
    "malformed": [*ANSWER[:5], in_chunk(b"data: {what?\n\n"), SILENCE],
    "refused": http_reply(400, {"error": {"message": "no such model"}}),
    "throttled": http_reply(429, {"error": {"message": "slow down"}}, Retry_After="7"),
    "unavailable": http_reply(503, {"error": {"message": "later"}}, Retry_After="1"),
    "calls": [
        chat_head(),
        chat_call(0, "call_1", "look"),
        chat_call(0, arguments='{"at": "lake"}'),
        chat_call(1, "call_2", "look"),
        *chat_end(finish="tool_calls"),
    ],
    "garbled_calls": [chat_head(), chat_event("a"), chat_call(0, arguments='{"at": '), SILENCE],
    "structured": [chat_head(), chat_event('{"at":'), chat_event(' "lake"}'), *chat_end()],
}
SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}


LIST = http_reply(200, {"object": "list", "data": [{"id": "m"}]})


def steps_of(situation: Situation, asked: HttpRequest) -> Sequence[ReplyStep] | Iterator[ReplyStep]:
    reply = REPLIES[situation]
    return reply(asked) if callable(reply) else reply


@asynccontextmanager
async def asking(*replies: Reply) -> AsyncGenerator[tuple[OpenAIProvider, Upstream]]:
    with trio.fail_after(30):
        async with (
            open_upstream(*replies) as upstream,
            aclosing(OpenAIProvider("sk-secret123456", upstream.url)) as provider,
        ):
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


class TestKit(ToolCallKit, StructuredKit):
    not_applicable: ClassVar[dict[Situation, str]] = {"prefix": "Chat Completions cannot be made to go on from a text"}

    @asynccontextmanager
    async def open_case(self, situation: Situation) -> AsyncGenerator[Case]:
        async with asking(lambda asked: LIST if asked.method == "GET" else steps_of(situation, asked)) as (
            provider,
            upstream,
        ):
            yield Case(provider, asked_in(situation), upstream.wait_idle, upstream.wait_busy)


def test_it_is_declared_when_there_is_something_to_ask() -> None:
    assert trialogue_openai.trialogue_providers({}) == []
    (official,) = trialogue_openai.trialogue_providers({"OPENAI_API_KEY": "sk-secret123456"})
    assert not official.accepts("gpt")
    assert "secret" not in repr(official)
    (other,) = trialogue_openai.trialogue_providers({"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"})
    assert other.accepts("anything/at-all")


def test_a_missing_sdk_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trialogue_openai, "find_spec", lambda _: None)
    assert trialogue_openai.trialogue_providers({}) == []
    with pytest.raises(ConfigurationError, match=r"install trialogue\[openai\]"):
        trialogue_openai.trialogue_providers({"OPENAI_API_KEY": "sk"})


async def test_a_request_holds_what_the_upstream_needs() -> None:
    async with asking(ANSWER) as (provider, upstream):
        asked = Request("gpt-x", request("Grüezi").messages, Settings(max_tokens=9), "be brief")
        await answer(provider, asked)
    (arrived,) = upstream.requests
    assert (arrived.method, arrived.path) == ("POST", "/v1/chat/completions")
    assert arrived.headers["authorization"] == "Bearer sk-secret123456"
    assert arrived.headers["accept-encoding"] == "identity"
    assert arrived.json() == {
        "model": "gpt-x",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "Grüezi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 9,
    }


async def test_an_answer_becomes_pieces() -> None:
    async with asking(ANSWER) as (provider, _):
        pieces = await answer(provider)
    assert text_of_pieces(pieces) == "".join(f"tok{i} " for i in range(20))
    assert pieces[-2:] == [FinishPiece("stop"), UsagePiece(Usage("reported", 7, 3))]


async def test_all_that_has_arrived_is_one_batch() -> None:
    gate = trio.Event()
    sent = trio.Event()

    def reply(_: object) -> Iterator[ReplyStep]:
        yield ANSWER[0]
        yield chat_event("first")
        yield gate
        yield from ANSWER[2:]
        sent.set()
        yield SILENCE

    async with asking(reply) as (provider, _), provider.open_response(request()) as stream:
        assert await stream.receive() == [TextPiece("first")]
        gate.set()
        await sent.wait()
        assert len(await stream.receive()) == 22, "twenty tokens, the finish and the count"
        assert await stream.receive() == ()


async def test_a_connection_serves_one_answer_after_another() -> None:
    async with asking(ANSWER) as (provider, upstream):
        for _ in range(5):
            await answer(provider)
        assert upstream.connections == 1
        async with provider.open_response(request()) as stream:
            await stream.receive()
        await answer(provider)
        assert upstream.connections == 2, "an answer that is left early takes its connection with it"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
async def test_reads_may_end_anywhere(size: int) -> None:
    whole = b"".join(step for step in [ANSWER[0], chat_event("Zürich 🏔"), *chat_end()] if isinstance(step, bytes))
    steps: list[ReplyStep] = []
    for at in range(0, len(whole), size):
        steps += [whole[at : at + size], Pause(0)]
    async with asking(steps) as (provider, upstream):
        for _ in range(2):
            assert text_of_pieces(await answer(provider)) == "Zürich 🏔"
        assert upstream.connections == 1


PLAIN_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
EVENTS = b'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\r\n\r\ndata: [DONE]\r\n\r\n'


@pytest.mark.parametrize(
    "reply",
    [
        [PLAIN_HEAD + b"Content-Length: %d\r\n\r\n" % len(EVENTS) + EVENTS],
        [PLAIN_HEAD + b"Connection: close\r\n\r\n" + EVENTS, HANG_UP],
        [b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + chat_head() + in_chunk(EVENTS) + b"0\r\n\r\n"],
        [chat_head() + b"5;name=value\r\n" + EVENTS[:5] + b"\r\n" + in_chunk(EVENTS[5:]) + b"0\r\nTrailer: x\r\n\r\n"],
        [chat_head() + in_chunk(EVENTS), HANG_UP],
        [chat_head() + in_chunk(EVENTS), SILENCE],
    ],
    ids=["length", "until closed", "early hints", "extension and trailer", "no last chunk", "open after done"],
)
async def test_other_ways_to_frame_a_body(reply: list[ReplyStep]) -> None:
    async with asking(reply) as (provider, _):
        for _ in range(2):
            assert text_of_pieces(await answer(provider)) == "hi"


async def test_a_body_in_no_chunks_may_be_left_early() -> None:
    head = PLAIN_HEAD + b"Content-Length: 9999\r\n\r\n"
    async with asking([head + b'data: {"choices":[{"delta":{"content":"hi"}}]}\n', SILENCE]) as (provider, upstream):
        async with provider.open_response(request()) as stream:
            assert await stream.receive() == [TextPiece("hi")]
        await upstream.wait_idle()
        async with provider.open_response(request()) as stream:
            await stream.receive()
            with trio.move_on_after(0.02) as scope:
                await stream.receive()
        assert scope.cancelled_caught
        async with provider.open_response(request()):
            pass
        await upstream.wait_idle()


async def test_what_the_sdk_would_send_is_sent() -> None:
    """All but the count of attempts, which tells the two ways apart only when there was a first one."""
    async with asking(ANSWER) as (provider, upstream):
        await answer(provider)
        assert provider._upstream is not None
        response = await provider._upstream.post(b"{}")
        await response.aread()
    ours, theirs = upstream.requests
    assert ours.headers.pop("content-length") != theirs.headers.pop("content-length")
    assert ours.headers == theirs.headers
    assert (ours.method, ours.path) == (theirs.method, theirs.path)


async def body_type(provider: OpenAIProvider) -> type[object]:
    async with provider.open_response(request()) as stream:
        assert isinstance(stream, DecodedStream)
        assert text_of_pieces(await drain(stream)).startswith("tok0 ")
        return type(stream._body)


async def test_answers_are_read_from_the_connection() -> None:
    async with asking(ANSWER) as (provider, _):
        for _ in range(2):
            assert await body_type(provider) is WireBody


@pytest.mark.parametrize("trouble", [http_reply(500, {"error": {"message": "oops"}}), [HANG_UP]])
async def test_trouble_is_told_at_once(trouble: Sequence[ReplyStep]) -> None:
    """Asking again is the server's business, which counts how often it does."""
    async with asking(trouble, ANSWER) as (provider, upstream):
        with pytest.raises(ProviderError) as caught:
            await answer(provider)
    assert caught.value.kind == "unavailable"
    assert len(upstream.requests) == 1


async def test_an_answer_that_was_not_to_be_compressed_is_read_all_the_same() -> None:
    body = gzip.compress(b'data: {"choices":[{"delta":{"content":"tok0 "}}]}\n\n' + EVENTS)
    head = PLAIN_HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with asking([head + body]) as (provider, upstream):
        for _ in range(2):
            assert await body_type(provider) is PlainBody
    assert len(upstream.requests) == 2, "it was asked once for each"
    assert upstream.connections == 1


async def test_what_is_not_the_coding_it_says_is_malformed() -> None:
    head = PLAIN_HEAD + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\n"
    async with asking([head + b"not zipped"[:9]]) as (provider, _):
        with pytest.raises(ProviderError) as caught:
            await answer(provider)
    assert caught.value.kind == "malformed"


async def test_a_connection_that_was_closed_meanwhile_is_not_used() -> None:
    async with asking([*ANSWER, HANG_UP]) as (provider, upstream):
        for _ in range(3):
            await answer(provider)
            await upstream.wait_idle()
    assert len(upstream.requests) == 3, "none was lost on a closed connection and asked again"
    assert upstream.connections == 3


async def test_a_connection_that_closes_under_a_request_is_not_the_requests_fault() -> None:
    """A server that says it keeps its connections, and closes one as the next request arrives, as llama.cpp's does."""
    async with asking(ANSWER, [HANG_UP], ANSWER) as (provider, upstream):
        await answer(provider)
        assert FinishPiece("stop") in await answer(provider)
    assert (len(upstream.requests), upstream.connections) == (3, 2)


@pytest.mark.parametrize(
    ("replies", "requests"),
    [
        ([[HANG_UP]], 1),
        ([ANSWER, [b"HTTP/1.1 2", HANG_UP]], 2),
        ([ANSWER, [b"HTTP/1.1 100 Continue\r\n\r\n", HANG_UP]], 2),
        ([ANSWER, [HANG_UP]], 3),
    ],
    ids=["on a new one", "in the head", "before the head", "twice"],
)
async def test_any_other_hanging_up_is_told(replies: Sequence[Reply], requests: int) -> None:
    async with asking(*replies) as (provider, upstream):
        for _ in replies[1:]:
            await answer(provider)
        with pytest.raises(ProviderError, match="RemoteProtocolError") as caught:
            await answer(provider)
    assert caught.value.kind == "unavailable"
    assert len(upstream.requests) == requests


async def test_an_upstream_may_refuse_what_it_has_not_read() -> None:
    async def refuse(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            (listener,) = await nursery.start(partial(trio.serve_tcp, refuse, 0, host="127.0.0.1"))
            url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/v1"
            async with aclosing(OpenAIProvider(None, url)) as provider:
                with pytest.raises(ProviderError, match="413"):
                    await answer(provider, request("x" * 8_000_000))
            nursery.cancel_scope.cancel()


async def test_heads_without_end_are_not_gathered() -> None:
    head = b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %b\r\n" % (n, b"y" * 1000) for n in range(150))
    async with asking([head, SILENCE]) as (provider, _):
        assert provider._upstream is None
        await provider.models()
        with pytest.raises(ProviderError, match="RemoteProtocolError") as caught:
            await answer(provider)
    assert caught.value.kind == "unavailable"


async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_upstream(ANSWER) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        async with aclosing(OpenAIProvider("sk", "http://127.0.0.1:9/v1")) as provider:
            with trio.fail_after(30):
                assert await body_type(provider) is PlainBody
    assert proxy.requests[0].path == "http://127.0.0.1:9/v1/chat/completions"


async def test_chunks_that_cannot_be_are_malformed() -> None:
    async with asking([chat_head() + b"zz\r\nhello"]) as (provider, _):
        with pytest.raises(ProviderError) as caught:
            await answer(provider)
    assert caught.value.kind == "malformed"


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "refused"), (401, "refused"), (404, "refused"), (422, "refused"), (429, "throttled")]
)
async def test_a_refusal_is_told_once_in_the_upstreams_words(status: int, kind: str) -> None:
    reply = http_reply(
        status, {"error": {"message": "Incorrect key sk-secret123456.\n" + "x" * 999}}, Retry_After_Ms="1500"
    )
    async with asking(reply) as (provider, upstream):
        with pytest.raises(ProviderError, match=f"{status}: Incorrect key") as caught:
            await answer(provider)
    assert caught.value.kind == kind
    assert caught.value.retry_after == 1.5
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert len(upstream.requests) == 1


async def test_nobody_there_is_unavailable() -> None:
    async with asking(ANSWER) as (_, upstream):
        pass
    async with aclosing(OpenAIProvider(None, upstream.url)) as provider:
        with pytest.raises(ProviderError, match=r"no connection to the upstream at '127\.0\.0\.1'") as caught:
            await answer(provider)
    assert caught.value.kind == "unavailable"


async def test_an_error_in_the_stream_comes_after_what_was_read() -> None:
    reply = [*ANSWER[:4], chat_event(error={"message": "overloaded", "type": "server_error"}), SILENCE]
    pieces: list[Piece] = []
    async with asking(reply) as (provider, _):
        with pytest.raises(ProviderError, match="overloaded") as caught:
            await collect(provider, pieces)
    assert caught.value.kind == "unavailable"
    assert text_of_pieces(pieces) == "tok0 tok1 "


async def test_models_are_listed_and_remembered() -> None:
    listed = {
        "object": "list",
        "data": [
            {"id": "a/b", "object": "model", "created": 1, "owned_by": "x", "context_length": 4096},
            {"id": "c", "object": "model", "created": 1, "owned_by": "x", "max_model_len": 8192},
            {"id": "d", "object": "model", "created": 1, "owned_by": "x", "meta": {"n_ctx": 2048}},
            {"id": "e", "object": "model", "created": 1, "owned_by": "x"},
        ],
    }
    async with asking(http_reply(200, listed)) as (provider, upstream):
        for _ in range(2):
            models = await provider.models()
    assert len(upstream.requests) == 1
    assert [(model.id, model.context_tokens) for model in models] == [
        ("openai:a/b", 4096),
        ("openai:c", 8192),
        ("openai:d", 2048),
        ("openai:e", 32_768),
    ]


async def test_the_list_is_asked_for_as_the_sdk_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Team: chat\nnonsense")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    async with asking(http_reply(200, {"object": "list", "data": []})) as (provider, upstream):
        await provider.models()
        await (await provider._opened()).sdk.models.list()
    ours, theirs = upstream.requests
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    said = {name: value for name, value in theirs.headers.items() if not name.startswith("x-stainless")}
    assert ours.headers == said | {"user-agent": ours.headers["user-agent"]}


@pytest.mark.parametrize(
    "reply", [http_reply(404, {"error": {"message": "no"}}), http_reply(200, "hello"), ANSWER, [HANG_UP]]
)
async def test_an_upstream_without_a_list_has_no_models(reply: Reply) -> None:
    async with asking(reply) as (provider, upstream):
        assert await provider.models() == ()
        assert await provider.models() == ()
    assert len(upstream.requests) == 1


async def test_the_real_service_is_not_asked_in_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIALOGUE_FORBID_MODEL_CALLS", "1")
    provider = OpenAIProvider("sk-secret123456")
    for ask in (provider.models, lambda: answer(provider)):
        with pytest.raises(ProviderError, match="forbidden"):
            await ask()


async def test_importing_the_sdk_does_not_hold_up_the_loop() -> None:
    """In a fresh interpreter, because this one has imported it."""
    code = """if True:
        import sys, time, trio, trialogue_openai
        assert "openai" not in sys.modules and "httpx2" not in sys.modules
        async def beat(worst):
            while True:
                before = time.perf_counter()
                await trio.sleep(0.005)
                worst.append(time.perf_counter() - before)
        async def main():
            worst = []
            (provider,) = trialogue_openai.trialogue_providers({"OPENAI_API_KEY": "sk"})
            async with trio.open_nursery() as nursery:
                nursery.start_soon(beat, worst)
                started = time.perf_counter()
                await provider._opened()
                took = time.perf_counter() - started
                nursery.cancel_scope.cancel()
            await provider.aclose()
            print(max(worst) / took)
        trio.run(main)
    """
    done = await trio.run_process([sys.executable, "-c", code], capture_stdout=True)
    assert float(done.stdout) < 0.4, "the longest gap, as a part of the whole import"
