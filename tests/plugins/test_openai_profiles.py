"""Further upstreams of the openai plugin: what is configured is what is asked, and each kind is met as it is known to be."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import trio

import trialogue_openai
from trialogue import ConfigurationError, Message, Model, Prices, Provider, ReasoningPiece, Request, TextPart, TextPiece
from trialogue.testing.provider_kit import drain
from trialogue.testing.upstream import (
    HttpRequest,
    Reply,
    Upstream,
    chat_end,
    chat_event,
    chat_head,
    http_reply,
    in_chunk,
    open_upstream,
)

ANSWER = [chat_head(), chat_event("yes"), *chat_end()]


def declared(**variables: str) -> list[Provider]:
    return list(
        trialogue_openai.trialogue_providers({f"TRIALOGUE_OPENAI_{name}": value for name, value in variables.items()})
    )


@asynccontextmanager
async def upstream_of(kind: str, reply: Reply, **variables: str) -> AsyncGenerator[tuple[Provider, Upstream]]:
    async with open_upstream(reply) as upstream:
        settings = {"PROFILES": "box", "BOX_KIND": kind, "BOX_BASE_URL": upstream.url, **variables}
        (provider,) = declared(**{name: value for name, value in settings.items() if value})
        async with aclosing(provider):
            with trio.fail_after(30):
                yield provider, upstream


def site(pages: Mapping[str, object]) -> Reply:
    """An upstream that has these pages."""

    def reply(asked: HttpRequest) -> Any:
        found = pages.get(asked.path)
        found = found(asked) if callable(found) else found
        return http_reply(404, {"error": "no"}) if found is None else http_reply(200, found)

    return reply


def listed(*names: str, **fields: Any) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": name, "object": "model", **fields} for name in names]}


def request(prefix: str = "") -> Request:
    return Request("m", (Message("m", "c", "user", (TextPart("?"),), datetime.now(UTC)),), prefix=prefix)


async def models_of(kind: str, pages: Mapping[str, object], **variables: str) -> list[Model]:
    async with upstream_of(kind, site(pages), **variables) as (provider, _):
        return list(await provider.models())


def test_each_profile_is_a_provider_of_its_own_name() -> None:
    ollama, gpu = declared(PROFILES="ollama, gpu-2", GPU_2_KIND="vllm", GPU_2_API_KEY="sk-secret123456")
    assert (ollama.name, gpu.name) == ("ollama", "gpu-2")
    assert repr(ollama) == "<OpenAIProvider ollama 'http://127.0.0.1:11434/v1'>"
    assert "secret" not in repr(vars(gpu))
    assert ollama.vendor is None
    assert ollama.accepts("llama3")


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"PROFILES": "two words"}, "'two words'"),
        ({"PROFILES": "openai"}, "not be openai"),
        ({"PROFILES": "mine"}, "MINE_BASE_URL is not set"),
        ({"PROFILES": "mine", "MINE_BASE_URL": "127.0.0.1:80"}, "http or https"),
        ({"PROFILES": "mine", "MINE_BASE_URL": "http://[x"}, "MINE_BASE_URL must be an http or https address"),
        ({"PROFILES": "mine", "MINE_BASE_URL": "http://x:123456"}, "MINE_BASE_URL must be an http or https address"),
        ({"PROFILES": "mine", "MINE_KIND": "olama"}, "one of ollama"),
        ({"PROFILES": "ollama", "OLLAMA_CONTEXT_TOKENS": "4k"}, "whole number"),
        ({"PROFILES": "ollama", "OLAMA_TITLE": "x"}, "OLAMA_TITLE belongs to no profile"),
        ({"OLLAMA_BASE_URL": "http://x"}, "belongs to no profile"),
        ({"PROFILES": "ollama", "OLLAMA_API": "assistants"}, "one of auto, chat, responses"),
        ({"PROFILES": "ollama", "OLLAMA_BACKGROUND": "on"}, "OLLAMA_BACKGROUND needs .*OLLAMA_API=responses"),
        ({"PROFILES": "ollama", "OLLAMA_THINKING": "maybe"}, "one of on"),
        ({"PROFILES": "ollama", "OLLAMA_CAPABILITIES": "tools flying"}, "'flying'"),
        ({"BACKGRUND": "on"}, "belongs to no profile"),
    ],
)
def test_what_cannot_be_meant_is_refused(variables: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        declared(**variables)


@pytest.mark.parametrize("url", ["http://[x", "http://x:y", "http://", "localhost:80", "ftp://x"])
def test_address_that_is_none_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        trialogue_openai.trialogue_providers({"OPENAI_BASE_URL": url})
    assert str(caught.value) == "OPENAI_BASE_URL must be an http or https address"


async def test_models_carry_the_name_and_the_title() -> None:
    (model,) = await models_of("", {"/v1/models": listed("llama3")}, BOX_TITLE="under the desk")
    assert (model.id, model.provider, model.name) == ("box:llama3", "box", "llama3 (under the desk)")
    assert model.context_tokens == 32_768
    assert model.capabilities == ()


async def test_models_can_what_the_operator_says_besides_what_is_told() -> None:
    (model,) = await models_of("vllm", {"/v1/models": listed("m")}, BOX_CAPABILITIES="tools, vision")
    assert model.capabilities == ("structured_output", "continues", "tools", "vision")
    told = listed("m", supported_parameters=["tools", "structured_outputs"], capabilities={"function_calling": True})
    (model,) = await models_of("", {"/v1/models": told})
    assert model.capabilities == ("tools", "structured_output")


async def test_context_is_what_the_operator_says_where_no_list_tells() -> None:
    (model,) = await models_of("", {"/v1/models": listed("m")}, BOX_CONTEXT_TOKENS="1234")
    assert model.context_tokens == 1234
    (model,) = await models_of("vllm", {"/v1/models": listed("m", max_model_len=77)}, BOX_CONTEXT_TOKENS="1234")
    assert model.context_tokens == 77


SHOWN = {
    "plain": {"capabilities": ["completion"], "parameters": 'stop "x"'},
    "large": {"capabilities": ["completion", "tools"], "parameters": "temperature 1\nnum_ctx   65536"},
    "seeing": {"capabilities": ["completion", "vision"]},
    "vectors": {"capabilities": ["embedding"]},
}


async def test_ollama_tells_what_runs_and_what_sees() -> None:
    pages: dict[str, object] = {
        "/v1/models": listed(*SHOWN, "unknown"),
        "/api/ps": {"models": [{"name": "seeing", "model": "seeing", "context_length": 8192}]},
        "/api/show": lambda asked: SHOWN.get(asked.json()["model"]),
    }
    found = {model.name: (model.context_tokens, model.capabilities) for model in await models_of("ollama", pages)}
    assert found == {
        "plain": (4096, ("structured_output",)),
        "large": (65_536, ("tools", "structured_output")),
        "seeing": (8192, ("vision", "structured_output")),
        "unknown": (4096, ("structured_output",)),
    }


async def test_ollama_may_not_tell_what_runs() -> None:
    pages: dict[str, object] = {"/v1/models": listed("seeing"), "/api/show": SHOWN["seeing"], "/api/ps": {"models": 7}}
    (model,) = await models_of("ollama", pages)
    assert (model.context_tokens, model.capabilities) == (4096, ("vision", "structured_output"))


async def test_lmstudio_tells_what_is_loaded_and_what_sees() -> None:
    loaded = [{"id": "a", "config": {"context_length": 16_384}}]
    native = [
        {
            "type": "llm",
            "key": "a",
            "loaded_instances": loaded,
            "capabilities": {"vision": True, "trained_for_tool_use": True},
        },
        {"type": "llm", "key": "b", "loaded_instances": [], "max_context_length": 131_072},
        {"type": "embedding", "key": "c", "loaded_instances": []},
    ]
    pages = {"/v1/models": listed("a", "b", "c"), "/api/v1/models": {"models": native}}
    found = [(model.name, model.context_tokens, model.capabilities) for model in await models_of("lmstudio", pages)]
    assert found == [("a", 16_384, ("vision", "tools", "structured_output")), ("b", 4096, ("structured_output",))]


@pytest.mark.parametrize("kind", ["ollama", "lmstudio"])
@pytest.mark.parametrize("native", [{}, {"/api/ps": "no", "/api/v1/models": []}])
async def test_a_list_of_its_own_may_be_missing(kind: str, native: dict[str, object]) -> None:
    (model,) = await models_of(kind, {"/v1/models": listed("m"), **native})
    assert model.context_tokens == 4096


async def test_openrouter_tells_contexts_lengths_and_prices() -> None:
    price = {"prompt": "0.000003", "completion": "0.000015", "input_cache_read": "0.0000003", "request": "0"}
    more = {"architecture": {"input_modalities": ["text", "image"]}, "top_provider": {"max_completion_tokens": 64_000}}
    pages = {"/v1/models": listed("a/b", context_length=200_000, pricing=price, **more)}
    (model,) = await models_of("openrouter", pages)
    assert model == Model(
        "box:a/b",
        "box",
        "a/b",
        200_000,
        ("vision",),
        prices=Prices(3_000_000, 15_000_000, cache_read=300_000),
        output_tokens=64_000,
    )


@pytest.mark.parametrize(
    "price",
    [
        {"prompt": "-1", "completion": "-1"},
        {"prompt": "0.1"},
        {"prompt": "much", "completion": "more"},
        {"prompt": "0.000001", "completion": "0.000002", "request": "0.05"},
        {"prompt": "NaN", "completion": "Infinity"},
    ],
)
async def test_a_price_that_cannot_be_told_is_unknown(price: dict[str, str]) -> None:
    (model,) = await models_of("openrouter", {"/v1/models": listed("m", pricing=price)})
    assert model.prices is None


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
async def test_thoughts_are_read_under_either_name_and_a_count_may_be_missing(field: str) -> None:
    thought = chat_event(choices=[{"index": 0, "delta": {field: "hm"}}])
    reply = [chat_head(), in_chunk(b": PROCESSING\n\n"), thought, chat_event("yes"), *chat_end()[:1], chat_end()[2]]
    async with upstream_of("", reply) as (provider, _), provider.open_response(request()) as stream:
        pieces = await drain(stream)
    assert pieces[:2] == [ReasoningPiece("hm"), TextPiece("yes")]
    assert len(pieces) == 3


@pytest.mark.parametrize(("kind", "goes_on"), [("vllm", True), ("llamacpp", True), ("ollama", False)])
async def test_who_goes_on_from_a_prefix_is_told_to(kind: str, goes_on: bool) -> None:
    async with upstream_of(kind, ANSWER) as (provider, upstream):
        for prefix in ("", "Well"):
            async with provider.open_response(request(prefix)) as stream:
                await drain(stream)
    plain, begun = (asked.json() for asked in upstream.requests)
    assert "continue_final_message" not in plain
    assert begun["messages"][-1] == {"role": "assistant", "content": "Well"}
    assert begun.get("continue_final_message") is (True if kind == "vllm" else None)
    assert begun.get("add_generation_prompt") is (False if kind == "vllm" else None)
    (model,) = await models_of(kind, {"/v1/models": listed("m")})
    assert ("continues" in model.capabilities) is goes_on
