"""Questions to an upstream, asked without its SDK: there comes an answer of the wanted kind, or ``ProviderError``."""

from __future__ import annotations

import re
import sys

import msgspec
import pytest
import trio

from trialogue import ProviderError
from trialogue.testing.upstream import HANG_UP, Reply, http_reply, open_upstream
from trialogue.upstreams import _questions, custom_headers, open_questions, retry_after


class Found(msgspec.Struct):
    names: list[str]


def head(*lines: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode()


async def asked(reply: Reply, **headers: str) -> Found | ProviderError:
    with trio.fail_after(30):
        async with open_upstream(reply) as upstream, open_questions(upstream.url + "/", headers) as questions:
            try:
                return await questions.get("/names", Found)
            except ProviderError as error:
                return error


async def failed(reply: Reply, **headers: str) -> ProviderError:
    error = await asked(reply, **headers)
    assert isinstance(error, ProviderError)
    return error


async def test_an_answer_comes_as_its_kind() -> None:
    assert await asked(http_reply(200, {"names": ["a", "b"], "more": 1})) == Found(["a", "b"])


async def test_something_may_be_told_first_and_elsewhere() -> None:
    with trio.fail_after(30):
        async with (
            open_upstream(http_reply(200, {"names": []})) as upstream,
            open_questions("http://nowhere.invalid/v1", {"authorization": "Bearer x"}) as questions,
        ):
            await questions.post(f"{upstream.url}/show", {"model": "m"}, Found)
    (arrived,) = upstream.requests
    assert (arrived.method, arrived.path, arrived.json()) == ("POST", "/v1/show", {"model": "m"})
    assert arrived.headers["authorization"] == "Bearer x"


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (
            http_reply(401, {"error": {"message": "no such key: sk-secret123456"}}),
            "refused",
            r"401: no such key: \[key\]",
        ),
        (http_reply(503, "later", retry_after="7"), "unavailable", "503"),
        (http_reply(429, {"message": "slowly"}), "throttled", "slowly"),
        ([b"HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\n\xff[["], "unavailable", "500"),
        (http_reply(200, {"names": 3}), "malformed", "Expected `array`"),
        ([head("Content-Length: 2"), b"\xff{"], "malformed", "cannot be read"),
        ([head("Content-Length: 40000"), b"[" * 40_000], "malformed", "cannot be read"),
        ([head("Content-Length: 9", "Content-Encoding: gzip"), b"no gzip!!"], "unavailable", "DecodingError"),
        ([head("Content-Length: 9"), b"cut", HANG_UP], "unavailable", "RemoteProtocolError"),
        ([HANG_UP], "unavailable", "RemoteProtocolError"),
        ([b"SSH-2.0\r\n\r\n"], "unavailable", "RemoteProtocolError"),
    ],
)
async def test_what_is_no_answer_is_told(reply: Reply, kind: str, words: str) -> None:
    error = await failed(reply)
    assert error.kind == kind
    assert re.search(words, str(error))
    assert "secret" not in str(error)


async def test_an_answer_has_a_greatest_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_questions, "LONGEST", 1000)
    error = await failed(http_reply(200, {"names": ["x" * 2000]}))
    assert error.kind == "malformed"
    assert "longer than 1000 bytes" in str(error)


async def test_who_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_questions, "PATIENCE", 0.05)
    assert (await failed([head("Content-Length: 9"), trio.Event()])).kind == "stalled"


@pytest.mark.parametrize("key", ["sk-sécret", "sk-secret\nx: y"])
async def test_a_key_that_cannot_be_one_is_not_repeated(key: str) -> None:
    error = await failed(http_reply(200, {"names": []}), authorization=f"Bearer {key}")
    assert "cret" not in str(error)


async def test_nobody_there_is_unavailable() -> None:
    async with open_questions("http://127.0.0.1:9/v1", {}) as questions:
        with pytest.raises(ProviderError, match=r"127\.0\.0\.1") as caught:
            await questions.get("/names", Found)
    assert caught.value.kind == "unavailable"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("7", 7),
        ("-7", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("nan", None),
        ("1e999", None),
        ("soon", None),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
    ],
)
def test_a_wait_that_is_asked_for_can_be_waited(said: str, meant: float | None) -> None:
    assert retry_after({"retry-after": said}) == meant


def test_headers_of_the_operators_own_are_a_line_each() -> None:
    assert custom_headers("X-A: 1\nnonsense\n x-b :2:3 ") == {"X-A": "1", "x-b": "2:3"}


async def test_models_are_listed_without_the_sdks() -> None:
    """In a fresh interpreter, because this one has imported them."""
    code = """if True:
        import sys, trio
        from trialogue_anthropic import AnthropicProvider
        from trialogue_openai import OpenAIProvider
        async def main():
            for provider in (OpenAIProvider(None, sys.argv[1]), AnthropicProvider(None, sys.argv[1][:-3])):
                assert [model.id for model in await provider.models()] == [f"{provider.name}:a"]
                assert provider.name not in sys.modules
                await provider.prepare()
                assert provider.name in sys.modules
                await provider.aclose()
        trio.run(main)
    """
    async with open_upstream(http_reply(200, {"data": [{"id": "a"}]})) as upstream:
        await trio.run_process([sys.executable, "-c", code, upstream.url])
    assert len(upstream.requests) == 2
