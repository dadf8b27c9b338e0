"""The text of an answer while it is written, and the message it becomes: the reader's fold of one run's events.

Kept apart from the state because it grows with the answer. Texts are gathered in lists and joined once, so that writing an
answer costs time in its length, not in the square of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from trialogue._facts.events import Event
from trialogue._facts.run_events import (
    ApprovalGiven,
    PartAdded,
    PartDelta,
    PartEnded,
    PartKind,
    PartStarted,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunIncomplete,
    RunInterrupted,
    RunStarted,
    ToolReturned,
    UsageReported,
)
from trialogue._facts.values import (
    Failure,
    FinishReason,
    Message,
    Part,
    ReasoningPart,
    Status,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)


class Answer:
    """One assistant message, growing. ``apply`` takes the events of its runs in order; any of them twice is harmless."""

    __slots__ = ("_base", "_first", "_kinds", "_lengths", "_signatures", "_texts")

    def __init__(self, message: Message) -> None:
        self._base = message
        self._first = len(message.parts)
        #: What the run has written, part by part: the kind of one that grows, or one that came whole.
        self._kinds: list[PartKind | Part] = []
        self._texts: list[list[str]] = []
        self._lengths: list[int] = []
        #: Of reasoning parts that have one, by their number.
        self._signatures: dict[int, str] = {}

    @property
    def id(self) -> str:
        """The message's id."""
        return self._base.id

    def apply(self, event: Event) -> None:
        """Take in one event; those of other messages are the caller's business."""
        match event:
            case PartDelta():
                self._write(event)
            case PartStarted():
                self._open(event.part, event.kind)
            case PartAdded():
                self._open(event.part, event.content)
            case ToolReturned():
                self._open(event.part, result_of(event))
            case ApprovalGiven():
                if event.arguments is not None:
                    self._edit(event.call, event.arguments)
            case PartEnded():
                if event.signature is not None:
                    self._signatures[event.part] = event.signature
            case UsageReported():
                self._base = replace(self._base, usage=event.usage)
            case RunStarted():
                self._base = replace(
                    self._base,
                    status="in_progress",
                    run=event.run,
                    model=event.model,
                    asked=event.asked,
                    attempt=event.attempt,
                    finish_reason=None,
                    failure=None,
                    usage=None,
                    summary=None,
                )
            case RunCompleted():
                self._end("completed", finish_reason=event.finish_reason)
            case RunIncomplete():
                reason: FinishReason = "content_filter" if event.reason == "content_filter" else "length"
                self._end("incomplete", finish_reason=reason)
            case RunFailed():
                self._end("failed", finish_reason="error", failure=event.failure)
            case RunCancelled():
                self._end("cancelled")
            case RunInterrupted():
                self._end("incomplete", failure=INTERRUPTED)
            case _:
                pass

    def _open(self, part: int, kind: PartKind | Part) -> None:
        if part == self._first + len(self._kinds):
            self._kinds.append(kind)
            self._texts.append([])
            self._lengths.append(0)

    def _edit(self, call: str, arguments: str) -> None:
        # The call may be in what an earlier run wrote.
        self._base = replace(self._base, parts=tuple(_edited(part, call, arguments) for part in self._base.parts))
        for at, part in enumerate(self._kinds):
            if isinstance(part, ToolCallPart):
                self._kinds[at] = _edited(part, call, arguments)

    def _write(self, delta: PartDelta) -> None:
        index = delta.part - self._first
        if not 0 <= index < len(self._texts):
            return
        seen = self._lengths[index] - delta.offset
        if 0 <= seen < len(delta.text):
            self._texts[index].append(delta.text[seen:])
            self._lengths[index] += len(delta.text) - seen

    def _end(
        self, status: Status, *, finish_reason: FinishReason | None = None, failure: Failure | None = None
    ) -> None:
        self._base = replace(self._base, status=status, finish_reason=finish_reason, failure=failure)

    def message(self) -> Message:
        """The message as written so far."""
        written = tuple(
            _part(kind, "".join(texts), self._signatures.get(part))
            for part, (kind, texts) in enumerate(zip(self._kinds, self._texts, strict=True), self._first)
        )
        return replace(self._base, parts=self._base.parts[: self._first] + written)


#: Told in the message itself when the process that wrote it went away and nobody went on.
INTERRUPTED = Failure("interrupted", "The server stopped while this was being written. Continue it or try again.", True)


def result_of(event: ToolReturned) -> ToolResultPart:
    """The part that the event adds."""
    return ToolResultPart(event.call, event.text, event.failed, event.citations, event.files)


def _edited(part: Part, call: str, arguments: str) -> Part:
    return replace(part, edited=arguments) if isinstance(part, ToolCallPart) and part.call == call else part


def _part(kind: PartKind | Part, text: str, signature: str | None) -> Part:
    match kind:
        case "text":
            return TextPart(text)
        case "reasoning":
            return ReasoningPart(text, signature)
        case _:
            return kind


def fold_answer(message: Message, events: Iterable[Event]) -> Answer:
    """The answer after ``events``, those of other messages left out."""
    answer = Answer(message)
    for event in events:
        if getattr(event, "message", None) == message.id:
            answer.apply(event)
    return answer
