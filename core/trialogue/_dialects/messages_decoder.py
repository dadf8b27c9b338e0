"""The pieces in a stream of an answer of Anthropic's Messages. Pure; public by way of ``anthropic_dialect``.

Only the few fields that become pieces are decoded, because the cost of a token is the cost of its event.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from trialogue._asking.provider import CitationPiece, FinishPiece, Piece, ReasoningPiece, TextPiece, UsagePiece
from trialogue._dialects.call_collector import CallCollector
from trialogue._dialects.event_lines import UNREADABLE, EventDecoder, is_foreign, shown
from trialogue._dialects.messages_body import OWN_TOOL, REDACTED, is_own_tool
from trialogue._dialects.messages_usage import MessagesUsage, usage_of
from trialogue._facts.errors import ProviderError
from trialogue._facts.values import FinishReason


class _Citation(msgspec.Struct):
    """A place in a document of the request, or in something that was found."""

    cited_text: str | None = None
    document_index: int | None = None
    document_title: str | None = None
    url: str | None = None
    source: str | None = None
    title: str | None = None


# The next two are made for every token. They cannot refer to themselves, so the collector need not look.
class _Delta(msgspec.Struct, gc=False):
    """Of a block (``text``, ``thinking`` and so on) or of the message (``stop_reason``)."""

    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    citation: _Citation | None = None
    stop_reason: str | None = None


class _Began(msgspec.Struct):
    """What a block begins with."""

    type: str = ""
    id: str | None = None
    name: str | None = None
    #: Of a call; whole where it does not come in pieces.
    input: msgspec.Raw = msgspec.Raw()
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None


class _Message(msgspec.Struct):
    usage: MessagesUsage | None = None


class _Error(msgspec.Struct):
    type: str | None = None
    message: str | None = None


class _Event(msgspec.Struct, gc=False):
    type: str
    index: int = 0
    delta: _Delta | None = None
    content_block: _Began | None = None
    message: _Message | None = None
    usage: MessagesUsage | None = None
    error: _Error | None = None


_decode = msgspec.json.Decoder(_Event).decode
#: Events of other names may come at any time, and mean nothing here.
_EVENTS: Final = {
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "ping",
    "error",
}
_REASONS: Final[dict[str, FinishReason | Literal["pause"]]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "pause",
    "refusal": "content_filter",
    "tool_use": "tool_call",
}
_KINDS: Final = {
    "rate_limit_error": "throttled",
    "overloaded_error": "unavailable",
    "api_error": "unavailable",
    "timeout_error": "unavailable",
    "invalid_request_error": "refused",
    "authentication_error": "refused",
    "permission_error": "refused",
    "billing_error": "refused",
    "not_found_error": "refused",
    "request_too_large": "refused",
}


class MessagesDecoder(EventDecoder):
    """Turns the bytes of a stream into pieces; cut anywhere, inside a character too.

    ``space`` is what was cut off the end of a prefix, and is not handed out again if the answer begins with it.
    ``documents`` are the files that can be cited, as ``documents_of`` tells them.
    """

    def __init__(self, space: str = "", documents: Sequence[str] = ()) -> None:
        super().__init__()
        self._space = space
        self._documents = documents
        #: Calls of tools, and the blocks that are such.
        self._calls = CallCollector()
        self._calling: set[int] = set()
        self._counts = MessagesUsage()
        #: The block of a tool of Anthropic's own that is open, and the pieces of its input.
        self._own: dict[str, Any] | None = None  # Any JSON.
        self._input: list[str] = []
        #: The seal of the thought that is being thought.
        self._signature: str | None = None

    def _take(self, data: bytes, pieces: list[Piece]) -> None:
        try:
            event = _decode(data)
        except UNREADABLE:
            if not is_foreign(data, _EVENTS):
                self._unreadable(data)
            return
        match event.type:
            case "content_block_delta" if event.delta is not None:
                self._write(event.delta, pieces, event.index)
            case "content_block_start" if event.content_block is not None:
                if is_own_tool(event.content_block.type):
                    self._own, self._input = msgspec.json.decode(data)["content_block"], []
                else:
                    self._begin(event.content_block, pieces, event.index)
            case "content_block_stop":
                self._seal(pieces)
            case "message_start" if event.message is not None and event.message.usage is not None:
                self._counts = event.message.usage
            case "message_delta":
                self._close(event, pieces)
            case "message_stop":
                self.end()
            case "error":
                self.failure: ProviderError | None = _failure_in_stream(event.error or _Error())
            case _:
                pass

    def _write(self, delta: _Delta, pieces: list[Piece], index: int) -> None:
        text = delta.text
        if self._finished:
            self._fail("malformed", "the upstream went on after it had finished")
        elif text and (not self._space or (text := self._without_space(text))):
            pieces.append(TextPiece(text))
        elif delta.thinking:
            pieces.append(ReasoningPiece(delta.thinking))
        elif delta.signature:
            self._signature = delta.signature
        elif delta.partial_json and index in self._calling:
            self._call(index, None, None, delta.partial_json)
        elif delta.partial_json and self._own is not None:
            self._input.append(delta.partial_json)
        elif delta.citation is not None:
            self._cite(delta.citation, pieces)

    def _call(self, index: int, name: str | None, call: str | None, arguments: str) -> None:
        self._calls.take(index, name, call, arguments)
        self.failure = self._calls.failure

    def _cite(self, citation: _Citation, pieces: list[Piece]) -> None:
        source, place = citation.url or citation.source, citation.document_index
        if source is None and place is not None and 0 <= place < len(self._documents):
            source = f"file:{self._documents[place]}"
        if source:
            pieces.append(CitationPiece(source, citation.title or citation.document_title, citation.cited_text))

    def _without_space(self, text: str) -> str:
        """The text without what the prefix ended with already."""
        same = 0
        while same < min(len(text), len(self._space)) and text[same] == self._space[same]:
            same += 1
        self._space = self._space[same:] if same == len(text) else ""
        return text[same:]

    def _begin(self, block: _Began, pieces: list[Piece], index: int) -> None:
        if block.type == "redacted_thinking":
            self._signature = REDACTED + (block.data or "")
        elif block.type == "tool_use" and not self._finished:
            whole = bytes(block.input)
            self._calling.add(index)
            self._call(index, block.name or "", block.id, "" if whole in (b"{}", b"null") else whole.decode())
        else:
            self._write(_Delta(block.text, block.thinking, block.signature), pieces, index)

    def _seal(self, pieces: list[Piece]) -> None:
        if self._own is not None:
            self._keep(self._own, pieces)
        if self._signature is not None:
            pieces.append(ReasoningPiece("", self._signature))
            self._signature = None
        if self._calling:
            self._calling.clear()
            pieces += self._calls.end_whole()

    def _keep(self, block: dict[str, Any], pieces: list[Piece]) -> None:
        """What a tool of Anthropic's own was asked or said: nothing for a reader, but it is wanted back as it came."""
        self._own = None
        try:
            if self._input:
                block["input"] = msgspec.json.decode("".join(self._input))
        except UNREADABLE:
            return
        pieces.append(ReasoningPiece("", OWN_TOOL + msgspec.json.encode(block).decode()))

    def _close(self, event: _Event, pieces: list[Piece]) -> None:
        if event.usage is not None:
            self._counts = self._counts.then(event.usage)
        reason = event.delta.stop_reason if event.delta is not None else None
        if reason and not self._finished:
            self._finished = True
            finish = _REASONS.get(reason, "stop")
            pieces += self._calls.end(cut=finish != "tool_call")
            if finish == "tool_call" and not self._calls.handed_out:
                finish = "stop"
            pieces.append(FinishPiece(finish))
        if self._finished:
            pieces.append(UsagePiece(usage_of(self._counts)))


def _failure_in_stream(error: _Error) -> ProviderError:
    words = shown(error.message or error.type or "it does not say why")
    return ProviderError(f"the upstream broke off: {words}", kind=_KINDS.get(error.type or "", "broken"))
