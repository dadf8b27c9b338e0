"""A tool is called, and a file is cited, over the whole way: engine, provider, SDK, and an upstream of each dialect."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec.structs import replace
from support import Talk, open_talk

import trialogue_documents
from trialogue import (
    CitationPart,
    FilePart,
    Message,
    Provider,
    ReasoningPart,
    TextPart,
    Toolbox,
    ToolCallPart,
    ToolResultPart,
    open_engine,
    open_library,
    text_of,
    tool,
)
from trialogue.testing import MemoryStore
from trialogue.testing.upstream import (
    HttpRequest,
    ReplyStep,
    chat_call,
    chat_end,
    chat_event,
    chat_head,
    http_reply,
    message_begin,
    message_block,
    message_call,
    message_citation,
    message_end,
    message_event,
    message_text,
    message_thought,
    open_upstream,
)
from trialogue.testing.upstream_responses import (
    begin_events,
    call_events,
    end_event,
    response_steps,
    text_events,
    thought_events,
)
from trialogue_anthropic import AnthropicProvider
from trialogue_openai import OpenAIProvider
from trialogue_openai._profiles import Profile

#: Any JSON.
Json = dict[str, Any]


@tool
async def depth(of: str) -> str:
    """Tells how deep a lake is."""
    return f"{of} is 136 m deep"


ARGUMENTS = ('{"of": ', '"Zürich"}')
CALLING = (chat_call(0, "call_1", "depth"), *(chat_call(0, arguments=one) for one in ARGUMENTS))
CHAT = [
    [chat_head(), *CALLING, *chat_end(finish="tool_calls")],
    [chat_head(), chat_event("136 m."), *chat_end()],
]
RESPONSES = [
    response_steps(
        [*begin_events(), *thought_events("hm"), *call_events("call_1", "depth", *ARGUMENTS, item=1), end_event()]
    ),
    response_steps([*begin_events(), *text_events("136", " m."), end_event()]),
]
USING = (*message_thought(0, "hm", "seal"), *message_call(1, "toolu_1", "depth", *ARGUMENTS))
MESSAGES = [
    [chat_head(), *message_begin(block=False), *USING, *message_end(reason="tool_use", index=None)],
    [chat_head(), *message_begin(), message_text("136 m."), *message_end()],
]
CLAUDE: Json = {"id": "m", "capabilities": {"citations": {"supported": True}}}


def provider_of(dialect: str, url: str) -> Provider:
    if dialect == "messages":
        return AnthropicProvider("sk", url.removesuffix("/v1"))
    api: Any = dialect  # One of the two.
    return OpenAIProvider(None, profile=Profile("there", "sk", url, api=api, capabilities=("tools",)))


@asynccontextmanager
async def talking(
    dialect: str, replies: Sequence[Sequence[ReplyStep]], files: Path | None = None
) -> AsyncGenerator[tuple[Talk, list[Json]]]:
    """A conversation with the one model there is, and the bodies that its upstream gets."""
    asked: list[Json] = []

    def reply(request: HttpRequest) -> Sequence[ReplyStep]:
        if request.method == "GET":
            return http_reply(200, {"data": [CLAUDE]})
        asked.append(request.json())
        return replies[len(asked) - 1]

    store = MemoryStore()
    with trio.fail_after(30):
        async with (
            open_upstream(reply) as upstream,
            aclosing(provider_of(dialect, upstream.url)) as provider,
            open_library(store.files, files or Path("/nowhere"), trialogue_documents.trialogue_extractors()) as library,
            open_engine(store, [provider], toolbox=Toolbox([depth]), library=library) as engine,
        ):
            (model,) = await engine.models()
            yield await open_talk(engine, model.id), asked


async def answer_of(talk: Talk, message: str | None) -> Message:
    row = await talk.engine.store.message(message or "")
    assert row is not None
    return row


@pytest.mark.parametrize(("dialect", "replies"), [("chat", CHAT), ("responses", RESPONSES), ("messages", MESSAGES)])
async def test_a_tool_is_called_and_the_answer_goes_on(
    dialect: str, replies: list[list[ReplyStep]], tmp_path: Path
) -> None:
    async with talking(dialect, replies, tmp_path) as (talk, asked):
        receipt = await talk.post("How deep is the lake?")
        await talk.settled()
        answer = await answer_of(talk, receipt.answer)
    parts = [part for part in answer.parts if not isinstance(part, ReasoningPart)]
    call, result = parts[0], parts[1]
    assert isinstance(call, ToolCallPart)
    assert (call.name, call.arguments) == ("depth", '{"of": "Zürich"}')
    assert isinstance(result, ToolResultPart)
    assert (result.call, result.failed) == (call.call, False)
    assert "136 m deep" in result.text
    assert text_of(answer.parts) == "136 m."
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (14, 6), "those of both generations"
    assert len(asked) == 2
    assert "depth" in str(asked[0]["tools"])
    {"chat": check_chat, "responses": check_responses, "messages": check_messages}[dialect](asked[1])


def check_chat(body: Json) -> None:
    _, said, result = body["messages"]
    assert said["tool_calls"][0]["id"] == result["tool_call_id"] == "call_1"
    assert result["role"] == "tool"


def check_responses(body: Json) -> None:
    _, thought, call, result = body["input"]
    assert (thought["id"], thought["encrypted_content"]) == ("rs_0", "sealed")
    assert (call["type"], result["type"]) == ("function_call", "function_call_output")
    assert call["call_id"] == result["call_id"] == "call_1"


def check_messages(body: Json) -> None:
    _, said, results = body["messages"]
    assert said["content"][0] == {"type": "thinking", "thinking": "hm", "signature": "seal"}
    assert said["content"][1]["input"] == {"of": "Zürich"}
    assert said["content"][1]["id"] == results["content"][0]["tool_use_id"] == "toolu_1"


async def test_an_attached_file_is_cited_in_the_answer(tmp_path: Path) -> None:
    cited = [chat_head(), *message_begin(), message_text("It is deep"), message_citation(0, "136 m", "lakes.txt")]
    rest = [message_event("content_block_stop", index=0), message_block(1, {"type": "text", "text": ""})]
    answered = [*cited, *rest, message_text(", and cold.", 1), *message_end(index=1)]
    async with talking("messages", [answered], tmp_path) as (talk, asked):
        library = talk.engine._node.library
        assert library is not None
        async with library.upload("ann") as upload:
            await upload.begin("lakes.txt")
            await upload.write(b"Zurich: 136 m")
            await upload.end()
            (file,) = await upload.commit()
        library.added([file])
        command = talk.post_command("How deep?")
        attached = FilePart(file.id, file.name, file.media_type)
        receipt = await talk.engine.submit(talk.id, replace(command, parts=(*command.parts, attached)))
        await talk.settled()
        answer = await answer_of(talk, receipt.answer)
    document = asked[0]["messages"][0]["content"][1]
    assert (document["title"], document["source"]["data"]) == ("lakes.txt", "Zurich: 136 m")
    assert answer.parts == (
        TextPart("It is deep"),
        CitationPart(f"file:{file.id}", "lakes.txt", "136 m"),
        TextPart(", and cold."),
    )
