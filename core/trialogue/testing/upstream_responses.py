"""OpenAI's Responses as an upstream sends them, and an upstream that keeps them: for providers' tests.

events = [*begin_events(), *text_events("Hel", "lo"), end_event()]
async with open_upstream(response_steps(events)) as upstream:
    ...

async with open_upstream(KeptResponses(events)) as upstream:
    ...                              # what was begun can be resumed from behind an event, and cancelled
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trio

from trialogue.testing.providers import Pause
from trialogue.testing.upstream import HANG_UP, HttpRequest, ReplyStep, chat_head, http_reply, in_chunk

#: A JSON value.
_Json = dict[str, Any]


def response_event(kind: str, number: int = 0, **fields: Any) -> bytes:
    """One event, in a chunk of its own; ``fields`` are JSON values."""
    value = json.dumps({"type": kind, "sequence_number": number, **fields}, ensure_ascii=False)
    return in_chunk(f"event: {kind}\ndata: {value}\n\n".encode())


def response_object(status: str = "in_progress", name: str = "resp_1", **fields: Any) -> _Json:
    """A response, as some events hold it."""
    return {
        "id": name,
        "object": "response",
        "created_at": 1,
        "model": "m",
        "status": status,
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        **fields,
    }


def begin_events(name: str = "resp_1") -> list[_Json]:
    """The response begins."""
    return [{"type": f"response.{kind}", "response": response_object(name=name)} for kind in ("created", "in_progress")]


def text_events(*texts: str, item: int = 0) -> list[_Json]:
    """A whole message, its text in pieces."""
    at = {"item_id": f"msg_{item}", "output_index": item, "content_index": 0}
    whole = "".join(texts)
    part: _Json = {"type": "output_text", "text": "", "annotations": []}
    message: _Json = {
        "id": f"msg_{item}",
        "type": "message",
        "role": "assistant",
        "status": "in_progress",
        "content": [],
    }
    done: _Json = {**message, "status": "completed", "content": [{**part, "text": whole}]}
    return [
        {"type": "response.output_item.added", "output_index": item, "item": message},
        {"type": "response.content_part.added", **at, "part": part},
        *({"type": "response.output_text.delta", **at, "delta": text, "logprobs": []} for text in texts),
        {"type": "response.output_text.done", **at, "text": whole, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": {**part, "text": whole}},
        {"type": "response.output_item.done", "output_index": item, "item": done},
    ]


def thought_events(*texts: str, item: int = 0, sealed: str | None = "sealed") -> list[_Json]:
    """A whole thought, its summary in parts, each of one piece."""
    name = f"rs_{item}"
    at = {"item_id": name, "output_index": item}
    thought: _Json = {"id": name, "type": "reasoning", "summary": []}
    parts = [{"type": "summary_text", "text": text} for text in texts]
    events: list[_Json] = [{"type": "response.output_item.added", "output_index": item, "item": thought}]
    for place, part in enumerate(parts):
        here = {**at, "summary_index": place}
        empty = {**part, "text": ""}
        events += [
            {"type": "response.reasoning_summary_part.added", **here, "part": empty},
            {"type": "response.reasoning_summary_text.delta", **here, "delta": part["text"]},
            {"type": "response.reasoning_summary_text.done", **here, "text": part["text"]},
            {"type": "response.reasoning_summary_part.done", **here, "part": part},
        ]
    done = {**thought, "summary": parts, "encrypted_content": sealed}
    return [*events, {"type": "response.output_item.done", "output_index": item, "item": done}]


def call_events(call: str, name: str, *arguments: str, item: int = 0) -> list[_Json]:
    """A whole tool call, its arguments in pieces."""
    at = {"item_id": f"fc_{item}", "output_index": item}
    called: _Json = {"id": f"fc_{item}", "type": "function_call", "call_id": call, "name": name, "arguments": ""}
    whole = "".join(arguments)
    return [
        {"type": "response.output_item.added", "output_index": item, "item": called},
        *({"type": "response.function_call_arguments.delta", **at, "delta": piece} for piece in arguments),
        {"type": "response.function_call_arguments.done", **at, "name": name, "arguments": whole},
        {"type": "response.output_item.done", "output_index": item, "item": {**called, "arguments": whole}},
    ]


def end_event(
    status: str = "completed", *, input_tokens: int = 7, output_tokens: int = 3, name: str = "resp_1", **fields: Any
) -> _Json:
    """The response ends, with its count; ``fields`` say why, unless it was ``completed``."""
    usage = {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input_tokens + output_tokens,
    }
    response = response_object(status, name, usage=usage, **fields)
    return {"type": f"response.{status}", "response": response}


def response_steps(events: Sequence[_Json]) -> list[ReplyStep]:
    """A whole reply of these events, numbered."""
    return [chat_head(), *(_numbered(event, number) for number, event in enumerate(events)), b"0\r\n\r\n"]


def _numbered(event: _Json, number: int) -> bytes:
    return response_event(event["type"], number, **{name: value for name, value in event.items() if name != "type"})


class KeptResponses:
    """Replies for ``open_upstream``: an upstream with one response, which it keeps when asked to.

    ``steps`` are its events, and what lies between them: a ``Pause`` or an event of Trio's, met by each reader anew.
    """

    def __init__(self, steps: Sequence[_Json | Pause | trio.Event], *, name: str = "resp_1", hang_up: int = 0) -> None:
        self.name = name
        self.steps: list[_Json | Pause | trio.Event] = list(steps)
        #: Each response that was begun: the body it was asked with.
        self.begun: list[_Json] = []
        #: From behind which event it was resumed, each time.
        self.resumed: list[int] = []
        self.cancelled: int = 0
        #: Set once it was cancelled.
        self.given_up: trio.Event = trio.Event()
        #: What it is as a whole each time it is looked at, the last one for ever; empty, it is not to be had so.
        self.wholes: list[_Json] = []
        #: What resuming is answered with instead, if anything.
        self.refusal: list[ReplyStep] | None = None
        #: So many readers are hung up on after half of the events.
        self.hang_up: int = hang_up

    def __call__(self, asked: HttpRequest) -> Sequence[ReplyStep] | Iterator[ReplyStep]:
        url = urlsplit(asked.path)
        if asked.method == "POST" and url.path.endswith("/cancel"):
            self.cancelled += 1
            self.given_up.set()
            return http_reply(200, response_object("cancelled", self.name))
        if asked.method == "POST":
            self.begun.append(asked.json())
            return self._reply(-1)
        if not url.path.endswith(f"/responses/{self.name}"):
            return http_reply(404, {"error": {"message": f"Response with id {url.path!r} not found."}})
        if "stream" not in parse_qs(url.query) and self.wholes:
            return http_reply(200, self.wholes.pop(0) if len(self.wholes) > 1 else self.wholes[0])
        if self.refusal is not None:
            return self.refusal
        after = int(parse_qs(url.query).get("starting_after", ["-1"])[0])
        self.resumed.append(after)
        return self._reply(after)

    def _reply(self, after: int) -> Iterator[ReplyStep]:
        cut = len(self.steps) // 2 if self.hang_up else None
        self.hang_up = max(self.hang_up - 1, 0)
        yield chat_head()
        number = -1
        for place, step in enumerate(self.steps):
            if place == cut:
                yield HANG_UP
            if isinstance(step, dict):
                number += 1
                if number > after:
                    yield _numbered(step, number)
            elif number >= after:
                yield step
        yield b"0\r\n\r\n"
