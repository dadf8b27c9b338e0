"""The pieces in a stream of an answer of OpenAI's Chat Completions. Pure; public by way of ``openai_dialect``.

Only the few fields that become pieces are decoded, because the cost of a token is the cost of its chunk.
"""

from __future__ import annotations

from typing import Final

import msgspec

from trialogue._asking.provider import FinishPiece, Piece, ReasoningPiece, TextPiece, UsagePiece
from trialogue._dialects.call_collector import CallCollector
from trialogue._dialects.event_lines import UNREADABLE, EventDecoder, StreamError, failure_in_stream
from trialogue._facts.errors import ProviderError
from trialogue._facts.values import FinishReason, Usage


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


# One of each of the next three is made for every token. They cannot refer to themselves, so the collector need not look.
class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    #: As DeepSeek counts what it read from its cache.
    prompt_cache_hit_tokens: int | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: StreamError | str | None = None


_decode = msgspec.json.Decoder(_Chunk).decode

_REASONS: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_call",
    "error": "error",
}


class ChatDecoder(EventDecoder):
    """Turns the bytes of a stream into pieces; cut anywhere, inside a character too.

    What it meets sets ``over`` (nothing follows) or ``failure`` (raise it once the pieces are handed out).
    """

    def __init__(self) -> None:
        super().__init__()
        #: A count that came before the finish; it follows it.
        self._usage: UsagePiece | None = None
        #: Calls of tools; ``None`` until there is one.
        self._calls: CallCollector | None = None
        #: The model declined to answer; what it said is why.
        self._refused = False

    def _take(self, data: bytes, pieces: list[Piece]) -> None:
        if data == b"[DONE]":
            self.end()
            return
        try:
            chunk = _decode(data)
        except UNREADABLE:
            self._unreadable(data)
            return
        if chunk.error is not None:
            error = StreamError(chunk.error) if isinstance(chunk.error, str) else chunk.error
            self.failure: ProviderError | None = failure_in_stream(error)
            return
        if chunk.choices:
            self._take_choice(chunk.choices[0], pieces)
        if chunk.usage is not None:
            self._usage = UsagePiece(_usage(chunk.usage))
        if self._usage is not None and self._finished:
            pieces.append(self._usage)
            self._usage = None

    def _take_choice(self, choice: _Choice, pieces: list[Piece]) -> None:
        delta = choice.delta
        if delta is not None:
            text, thought = delta.content or delta.refusal, delta.reasoning_content or delta.reasoning
            if (text or thought or delta.tool_calls) and self._finished:
                self._fail("malformed", "the upstream went on after it had finished")
                return
            if text:
                pieces.append(TextPiece(text))
                self._refused = self._refused or not delta.content
            if thought:
                pieces.append(ReasoningPiece(thought))
            if delta.tool_calls:
                self._take_calls(delta.tool_calls)
        if choice.finish_reason and not self._finished and self.failure is None:
            self._finish(choice.finish_reason, pieces)

    def _take_calls(self, told: list[_Call]) -> None:
        calls = self._calls = self._calls or CallCollector()
        for place, call in enumerate(told):
            function = call.function or _Function()
            index = place if call.index is None else call.index
            calls.take(index, function.name, call.id, function.arguments or "")
        self.failure = calls.failure

    def _finish(self, told: str, pieces: list[Piece]) -> None:
        reason = _REASONS.get(told, "stop")
        if self._calls is not None:
            pieces += self._calls.end(cut=reason not in ("stop", "tool_call"))
            if self._calls.handed_out and reason == "stop":
                reason = "tool_call"  # Some do not tell.
        if reason == "tool_call" and (self._calls is None or not self._calls.handed_out):
            reason = "stop"
        if reason == "stop" and self._refused:
            reason = "content_filter"
        self._finished = True
        pieces.append(FinishPiece(reason))


def _usage(usage: _Usage) -> Usage:
    prompt = usage.prompt_tokens_details or _PromptDetails()
    completion = usage.completion_tokens_details or _CompletionDetails()
    cached = usage.prompt_cache_hit_tokens if prompt.cached_tokens is None else prompt.cached_tokens
    return Usage(
        "reported",
        input_tokens=usage.prompt_tokens,
        output_tokens=_said(usage, completion.reasoning_tokens or 0),
        cache_read_tokens=cached,
        cache_write_tokens=prompt.cache_write_tokens,
        reasoning_tokens=completion.reasoning_tokens,
    )


def _said(usage: _Usage, thought: int) -> int | None:
    """The output with what was thought in it. Some upstreams count that beside the completion; their total shows it."""
    asked, said = usage.prompt_tokens, usage.completion_tokens
    beside = asked is not None and said is not None and thought and usage.total_tokens == asked + said + thought
    return said + thought if beside and said is not None else said
