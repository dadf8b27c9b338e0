"""The pieces in a stream of OpenAI's Responses. Pure; public by way of ``responses_dialect``.

Only the few fields that become pieces are decoded, because the cost of a token is the cost of its event.
"""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from trialogue._asking.provider import (
    CitationPiece,
    FinishPiece,
    HandlePiece,
    Piece,
    ReasoningPiece,
    TextPiece,
    UsagePiece,
)
from trialogue._dialects.call_collector import CallCollector
from trialogue._dialects.event_lines import UNREADABLE, EventDecoder, StreamError, failure_in_stream, is_foreign
from trialogue._facts.errors import ProviderError
from trialogue._facts.values import FinishReason, Usage

#: Parts the id of a thought from what it was sealed with, in the signature that is kept. No id holds a colon.
SEAL: Final = ":"


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class ResponsesUsage(msgspec.Struct):
    """The ``usage`` of a response that has ended."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


def responses_usage(counts: ResponsesUsage) -> Usage:
    """The counts as ours; totals include their parts there as here."""
    asked = counts.input_tokens_details or _InputDetails()
    said = counts.output_tokens_details or _OutputDetails()
    return Usage(
        "reported",
        input_tokens=counts.input_tokens,
        output_tokens=counts.output_tokens,
        cache_read_tokens=asked.cached_tokens,
        cache_write_tokens=asked.cache_write_tokens,
        reasoning_tokens=said.reasoning_tokens,
    )


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class _Content(msgspec.Struct):
    type: str = ""


class _Output(msgspec.Struct):
    """An item of the whole answer, as far as it says why the answer ended."""

    type: str = ""
    content: list[_Content] | None = None


class _Response(msgspec.Struct):
    id: str | None = None
    usage: ResponsesUsage | None = None
    error: StreamError | None = None
    incomplete_details: _Incomplete | None = None
    output: list[_Output] = []


class _Item(msgspec.Struct):
    """A thought (``encrypted_content``) or a call (the others), when it is whole."""

    type: str
    id: str | None = None
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None


class _Annotation(msgspec.Struct):
    url: str | None = None
    file_id: str | None = None
    title: str | None = None
    filename: str | None = None


# One is made for every token. It cannot refer to itself, so the collector need not look.
class _Event(msgspec.Struct, gc=False):
    type: str
    sequence_number: int | None = None
    delta: str | None = None
    summary_index: int = 0
    item: _Item | None = None
    annotation: _Annotation | None = None
    response: _Response | None = None
    #: Of an ``error``, which some nest and some do not.
    error: StreamError | None = None
    message: str | None = None
    code: str | int | None = None


_decode = msgspec.json.Decoder(_Event).decode
#: What is read here. Events of other names may come at any time, and mean nothing.
_EVENTS: Final = {
    "response.created",
    "response.queued",
    "response.in_progress",
    "response.output_text.delta",
    "response.refusal.delta",
    "response.reasoning_text.delta",
    "response.reasoning_summary_text.delta",
    "response.reasoning_summary_part.added",
    "response.output_text.annotation.added",
    "response.output_item.done",
    "response.completed",
    "response.incomplete",
    "response.failed",
    "error",
}


class ResponsesDecoder(EventDecoder):
    """Turns the bytes of a stream into pieces; cut anywhere, inside a character too.

    ``kept`` says that the upstream keeps the response, so that its handle is worth telling. A stream that was taken up
    again begins in the middle of a response; ``handle`` is that response's id, which no event may say any more.
    """

    #: The last event repeats the whole answer, and the first what the model was instructed with.
    longest_line: ClassVar[int] = 8 << 20

    def __init__(self, *, kept: bool = False, handle: str | None = None) -> None:
        super().__init__()
        self._kept = kept
        self._handle = handle
        #: The number of the last event that was taken in, and of the last one that was told.
        self._at: int | None = None
        self._told: int | None = None
        self._calls = CallCollector()
        self._refused = False
        #: The connection ended before the response did: where it is kept, it goes on.
        self.cut: bool = False

    def end(self) -> None:
        self.cut = not self._finished and self.failure is None
        super().end()

    def feed(self, data: bytes) -> list[Piece]:
        pieces = super().feed(data)
        if not self._finished and (pieces or self._told is None):
            self._tell(pieces)
        return pieces

    def _tell(self, pieces: list[Piece]) -> None:
        """Say how far the pieces reach, so that who loses the stream can go on from there."""
        if self._kept and self._handle is not None and self._at is not None and self._at != self._told:
            self._told = self._at
            pieces.append(HandlePiece(self._handle, self._at))

    def _take(self, data: bytes, pieces: list[Piece]) -> None:
        if data == b"[DONE]":  # not of this dialect, but some send it
            self.end()
            return
        try:
            event = _decode(data)
        except UNREADABLE:
            if not is_foreign(data, _EVENTS):
                self._unreadable(data)
            return
        if self._finished:
            return
        match event.type:
            case "response.output_text.delta":
                if event.delta:
                    pieces.append(TextPiece(event.delta))
            case "response.completed" | "response.incomplete" | "response.failed":
                # What is told goes no further than what stands before the end, so that the end is read again.
                self._tell(pieces)
                self._close(event, pieces)
            case "error":
                self.failure: ProviderError | None = failure_in_stream(
                    event.error or StreamError(event.message, None, event.code)
                )
            case _:
                self._take_other(event, pieces)
        if event.sequence_number is not None:
            self._at = event.sequence_number

    def _take_other(self, event: _Event, pieces: list[Piece]) -> None:
        match event.type:
            case "response.refusal.delta" if event.delta:
                self._refused = True
                pieces.append(TextPiece(event.delta))
            case "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" if event.delta:
                pieces.append(ReasoningPiece(event.delta))
            case "response.reasoning_summary_part.added" if event.summary_index:
                pieces.append(ReasoningPiece("\n\n"))
            case "response.output_item.done" if event.item is not None:
                self._take_item(event.item, pieces)
            case "response.output_text.annotation.added" if event.annotation is not None:
                _cite(event.annotation, pieces)
            case "response.created" | "response.queued" | "response.in_progress" if event.response is not None:
                self._handle = event.response.id or self._handle
            case _:
                pass

    def _take_item(self, item: _Item, pieces: list[Piece]) -> None:
        if item.type == "reasoning" and item.id and item.encrypted_content:
            pieces.append(ReasoningPiece("", f"{item.id}{SEAL}{item.encrypted_content}"))
        elif item.type == "function_call":
            # It is there as a whole here; its deltas are not looked at.
            self._calls.take(0, item.name, item.call_id, item.arguments or "")
            pieces += self._calls.end()
            self.failure = self._calls.failure

    def _close(self, event: _Event, pieces: list[Piece]) -> None:
        response = event.response or _Response()
        if event.type == "response.failed":
            self.failure = failure_in_stream(response.error or StreamError())
            return
        self._finished = True
        pieces.append(FinishPiece(self._reason(response)))
        if response.usage is not None:
            pieces.append(UsagePiece(responses_usage(response.usage)))
        self.end()

    def _reason(self, response: _Response) -> FinishReason:
        """Why it ended. Its output tells of calls too, which is all that does where it was taken up in the middle."""
        if response.incomplete_details is not None:
            return "content_filter" if response.incomplete_details.reason == "content_filter" else "length"
        if self._calls.handed_out or any(item.type == "function_call" for item in response.output):
            return "tool_call"
        refused = any(one.type == "refusal" for item in response.output for one in item.content or ())
        return "content_filter" if refused or self._refused else "stop"


def _cite(annotation: _Annotation, pieces: list[Piece]) -> None:
    source = annotation.url or annotation.file_id
    if source:
        pieces.append(CitationPiece(source, annotation.title or annotation.filename))
