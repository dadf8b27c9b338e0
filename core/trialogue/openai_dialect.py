"""OpenAI's Chat Completions as seen by a provider: the body of a request, and the pieces in a stream of its answer.

For plugins whose upstream speaks this dialect, over whatever transport; nothing here does I/O. It decodes only the few
fields that become pieces, because the cost of a token is the cost of its chunk.

    decoder = ChatDecoder()
    pieces = decoder.feed(data)      # as often as bytes arrive
    decoder.end()                    # when the upstream ended
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from trialogue._errors import ProviderError
from trialogue._event_lines import LONGEST_LINE as LONGEST_LINE
from trialogue._event_lines import EventDecoder
from trialogue._event_lines import kind_of_status as kind_of_status
from trialogue._event_lines import shown as shown
from trialogue._provider import FinishPiece, Piece, ReasoningPiece, Request, TextPiece, UsagePiece
from trialogue._values import FilePart, FinishReason, Message, TextPart, Usage, text_of


# One of each of the next three is made for every token. They cannot refer to themselves, so the collector need not look.
class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None


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


class _Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: _Error | str | None = None


_decode = msgspec.json.Decoder(_Chunk).decode

_REASONS: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "error": "error",
}


def chat_body(request: Request, *, limit_name: str = "max_tokens", **extra: Any) -> bytes:
    """The JSON of a streaming request; ``extra`` (any JSON values) is the caller's, and ``limit_name`` the upstream's.

    A prefix becomes a last message of the assistant, which upstreams that can continue take as the answer's beginning.
    """
    messages: list[dict[str, Any]] = []  # JSON values
    if request.system:
        messages.append({"role": "system", "content": request.system})
    messages += [{"role": message.role, "content": _content(message, request)} for message in request.messages]
    if request.prefix:
        messages.append({"role": "assistant", "content": request.prefix})
    settings = request.settings
    body: dict[str, Any] = {  # JSON values
        "model": request.model,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        limit_name: settings.max_tokens,
        "stop": settings.stop,
        "seed": settings.seed,
        **extra,
    }
    return msgspec.json.encode({name: value for name, value in body.items() if value is not None})


def _content(message: Message, request: Request) -> str | list[dict[str, Any]]:
    """Text alone where there is nothing else, as every upstream takes it; with pictures a list, in the message's order."""
    if not any(isinstance(part, FilePart) and part.file in request.images for part in message.parts):
        return text_of(message.parts)
    content: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            content.append({"type": "text", "text": part.text})
        elif isinstance(part, FilePart) and (image := request.images.get(part.file)):
            content.append(
                {"type": "image_url", "image_url": {"url": f"data:{image.media_type};base64,{image.base64}"}}
            )
    return content


class ChatDecoder(EventDecoder):
    """Turns the bytes of a stream into pieces; cut anywhere, inside a character too.

    What it meets sets ``over`` (nothing follows) or ``failure`` (raise it once the pieces are handed out).
    """

    def __init__(self) -> None:
        super().__init__()
        #: A count that came before the finish; it follows it.
        self._usage: UsagePiece | None = None

    def _take(self, data: bytes, pieces: list[Piece]) -> None:
        if data == b"[DONE]":
            self.end()
            return
        try:
            chunk = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._unreadable(data)
            return
        if chunk.error is not None:
            self.failure: ProviderError | None = _failure_in_stream(chunk.error)
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
            if (text or thought) and self._finished:
                self._fail("malformed", "the upstream went on after it had finished")
                return
            if text:
                pieces.append(TextPiece(text))
            if thought:
                pieces.append(ReasoningPiece(thought))
        if choice.finish_reason and not self._finished:
            self._finished = True
            pieces.append(FinishPiece(_REASONS.get(choice.finish_reason, "stop")))


def _failure_in_stream(error: _Error | str) -> ProviderError:
    if isinstance(error, str):
        error = _Error(error)
    words = f"{error.type} {error.code}".lower()
    kind = "broken"
    if isinstance(error.code, int) and 400 <= error.code < 600:
        kind = kind_of_status(error.code)
    elif "rate_limit" in words or "quota" in words:
        kind = "throttled"
    elif "overloaded" in words or "server_error" in words or "unavailable" in words:
        kind = "unavailable"
    elif "invalid" in words or "auth" in words:
        kind = "refused"
    return ProviderError(f"the upstream broke off: {shown(error.message or words)}", kind=kind)


def _usage(usage: _Usage) -> Usage:
    prompt = usage.prompt_tokens_details or _PromptDetails()
    completion = usage.completion_tokens_details or _CompletionDetails()
    return Usage(
        "reported",
        input_tokens=usage.prompt_tokens,
        output_tokens=_said(usage, completion.reasoning_tokens or 0),
        cache_read_tokens=prompt.cached_tokens,
        cache_write_tokens=prompt.cache_write_tokens,
        reasoning_tokens=completion.reasoning_tokens,
    )


def _said(usage: _Usage, thought: int) -> int | None:
    """The output with what was thought in it. Some upstreams count that beside the completion; their total shows it."""
    asked, said = usage.prompt_tokens, usage.completion_tokens
    beside = asked is not None and said is not None and thought and usage.total_tokens == asked + said + thought
    return said + thought if beside and said is not None else said
