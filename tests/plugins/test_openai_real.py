"""The openai provider against a real model's own server of this dialect, which was not written by us."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime

import msgspec
import pytest
import trio

from trialogue import (
    AnswerSchema,
    FinishPiece,
    Message,
    ProviderError,
    Request,
    Settings,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    ToolSpec,
    UsagePiece,
)
from trialogue.testing.provider_kit import check_order, drain, text_of_pieces
from trialogue_local._requirements import weights
from trialogue_openai import OpenAIProvider
from trialogue_openai._profiles import KINDS, Profile

SERVER = """if True:
    import os, sys
    import xllamacpp
    parameters = xllamacpp.CommonParams()
    parameters.model.path = sys.argv[1]
    parameters.hostnames, parameters.port, parameters.ui = ["127.0.0.1"], 0, False
    parameters.n_ctx, parameters.n_parallel, parameters.cache_ram_mib = 4096, 2, 0
    parameters.cpuparams.n_threads = 1
    parameters.verbosity = 1
    parameters.api_keys = ["sk-right-key"]
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)
"""


@asynccontextmanager
async def model_server() -> AsyncGenerator[str]:
    """The base URL; the process ends with the block, or with us, when its standard input closes."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-c", SERVER, str(weights())], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    async with process.stdin, process.stdout:
        yield (await process.stdout.receive_some()).decode().strip() + "/v1"
    with trio.CancelScope(shield=True):
        await process.wait()


def request(prompt: str, tokens: int = 20) -> Request:
    message = Message("m", "c", "user", (TextPart(prompt),), datetime.now(UTC))
    return Request("anything", (message,), Settings(temperature=0, max_tokens=tokens))


async def test_a_real_model_answers_stops_and_refuses() -> None:
    async with model_server() as url:
        async with aclosing(OpenAIProvider("sk-right-key", url)) as provider:
            (model,) = await provider.models()
            assert model.context_tokens >= 2048
            async with provider.open_response(request("What is the capital of Switzerland?")) as stream:
                pieces = await drain(stream)
            check_order(pieces)
            assert "Bern" in text_of_pieces(pieces)
            assert FinishPiece("stop") in pieces
            assert isinstance(pieces[-1], UsagePiece)
            assert pieces[-1].usage.output_tokens == 8
            with trio.move_on_after(0.3) as scope:
                async with provider.open_response(request("Tell me a very long story.", 2000)) as stream:
                    await drain(stream)
            assert scope.cancelled_caught
            with pytest.raises(ProviderError, match=r"400: .*exceeds the available context size") as caught:
                await _open(provider, request("word " * 5000))
            assert caught.value.kind == "refused"
        profile = Profile("here", "sk-right-key", url, kind=KINDS["llamacpp"])
        async with aclosing(OpenAIProvider(None, profile=profile)) as provider:
            (model,) = await provider.models()
            assert (model.provider, model.context_tokens, model.capabilities) == (
                "here",
                2048,
                ("structured_output", "continues"),
            )
            begun = msgspec.structs.replace(request("What is the capital of Switzerland?"), prefix="The capital of")
            async with provider.open_response(begun) as stream:
                assert text_of_pieces(await drain(stream)) == " Switzerland is Bern."
            await _in_a_schema(provider)
        profile = Profile("here", "sk-right-key", url, kind=KINDS["llamacpp"], api="responses")
        async with aclosing(OpenAIProvider(None, profile=profile)) as provider:
            await _by_responses(provider)
        async with aclosing(OpenAIProvider("sk-wrong-key", url)) as stranger:
            with pytest.raises(ProviderError, match=r"401: .*[Kk]ey") as caught:
                await _open(stranger, request("Hi"))
            assert "wrong" not in str(caught.value)


async def _by_responses(provider: OpenAIProvider) -> None:
    """The same model by Responses: an answer, and one of a conversation with a call in it."""
    question = request("What is the capital of Switzerland?")
    async with provider.open_response(question) as stream:
        pieces = await drain(stream)
    check_order(pieces)
    assert "Bern" in text_of_pieces(pieces)
    assert FinishPiece("stop") in pieces
    assert isinstance(pieces[-1], UsagePiece)
    assert pieces[-1].usage.output_tokens
    call, result = ToolCallPart("m-0", "look", '{"at": "lake"}'), ToolResultPart("m-0", "It is 17 degrees.")
    said = Message("n", "c", "assistant", (TextPart("Let me look."), call, result), datetime.now(UTC))
    later = Message("o", "c", "user", (TextPart("So how many degrees?"),), datetime.now(UTC))
    tools = (ToolSpec("look", "Tells how warm it is.", {"type": "object", "properties": {"at": {"type": "string"}}}),)
    talked = msgspec.structs.replace(question, messages=(*question.messages, said, later), tools=tools)
    async with provider.open_response(talked) as stream:
        assert text_of_pieces(await drain(stream))


async def _in_a_schema(provider: OpenAIProvider) -> None:
    schema = {
        "type": "object",
        "properties": {"capital": {"type": "string"}},
        "required": ["capital"],
        "additionalProperties": False,
    }
    question = request("What is the capital of Switzerland?")
    shaped = msgspec.structs.replace(question, answer_schema=AnswerSchema("capital", schema))
    async with provider.open_response(shaped) as stream:
        assert set(msgspec.json.decode(text_of_pieces(await drain(stream)))) == {"capital"}


async def _open(provider: OpenAIProvider, asked: Request) -> None:
    async with provider.open_response(asked):
        raise AssertionError("it opened")
