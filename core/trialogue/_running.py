"""What a live run writes into the log: pieces become parts and deltas, and every run ends in one terminal event. Pure.

Each function returns events that are to be appended together, in the given order, to the state it was given.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias

from trialogue._events import (
    Event,
    PartAdded,
    PartDelta,
    PartEnded,
    PartKind,
    PartStarted,
    RunAttached,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunIncomplete,
    RunInterrupted,
    UsageReported,
)
from trialogue._prices import priced
from trialogue._provider import (
    CitationPiece,
    FinishPiece,
    HandlePiece,
    Piece,
    ReasoningPiece,
    TextPiece,
    ToolCallPiece,
    UsagePiece,
)
from trialogue._state import LiveRun
from trialogue._values import CitationPart, Failure, FinishReason, ToolCallPart, Usage, call_id

#: Code points per token of a call's name and arguments, as it is counted where the provider does not say.
CODE_POINTS_PER_TOKEN = 4

RunEnd: TypeAlias = RunCompleted | RunIncomplete | RunFailed | RunCancelled | RunInterrupted


def write(run: LiveRun, pieces: Sequence[Piece], buffer_tokens: int) -> list[Event]:
    """The events for ``pieces``: one delta for at most ``buffer_tokens`` tokens of one kind, parts opened as needed.

    A ``FinishPiece`` makes no event; the caller notes it and ends the run.
    """
    part, kind, offset = run.parts - 1, run.open_kind, run.length
    # Nearly every batch is this: a few more tokens of the text that is being written.
    if kind == "text" and 0 < len(pieces) <= buffer_tokens:
        more = [piece.text for piece in pieces if isinstance(piece, TextPiece)]
        if len(more) == len(pieces):
            return [PartDelta(run.run, run.message, part, offset, "".join(more), len(more))]
    events: list[Event] = []
    texts: list[str] = []

    def flush() -> None:
        nonlocal offset
        if texts:
            text = "".join(texts)
            events.append(PartDelta(run.run, run.message, part, offset, text, len(texts)))
            offset += len(text)
            texts.clear()

    def end_part() -> None:
        nonlocal kind
        flush()
        if kind is not None:
            events.append(PartEnded(run.run, run.message, part, offset))
        kind = None

    for piece in pieces:
        match piece:
            case TextPiece() | ReasoningPiece():
                wanted: PartKind = "text" if isinstance(piece, TextPiece) else "reasoning"
                if wanted != kind:
                    end_part()
                    part, kind, offset = part + 1, wanted, 0
                    events.append(PartStarted(run.run, run.message, part, wanted))
                if piece.text:
                    texts.append(piece.text)
                if len(texts) >= buffer_tokens:
                    flush()
                if isinstance(piece, ReasoningPiece) and piece.signature is not None:
                    flush()
                    events.append(PartEnded(run.run, run.message, part, offset, piece.signature))
                    kind = None
            case ToolCallPiece() | CitationPiece():
                end_part()
                part += 1
                events.append(_whole(run, part, piece))
            case HandlePiece():
                flush()
                events.append(RunAttached(run.run, run.message, piece.handle, piece.cursor))
            case UsagePiece():
                flush()
                events.append(UsageReported(run.run, run.message, priced(piece.usage, run.terms.prices)))
            case FinishPiece():
                pass
    flush()
    return events


def _whole(run: LiveRun, part: int, piece: ToolCallPiece | CitationPiece) -> PartAdded:
    if isinstance(piece, CitationPiece):
        return PartAdded(run.run, run.message, part, CitationPart(piece.source, piece.title, piece.quote))
    call = ToolCallPart(call_id(run.message, part), piece.name, piece.arguments, signature=piece.signature)
    tokens = 1 + (len(piece.name) + len(piece.arguments)) // CODE_POINTS_PER_TOKEN
    return PartAdded(run.run, run.message, part, call, tokens)


def finish(run: LiveRun, reason: FinishReason, at: datetime, asked: int | None = None) -> list[Event]:
    """The model ended its answer: completed, or incomplete when a limit of the provider's cut it."""
    if reason in ("length", "content_filter"):
        return close(run, RunIncomplete(run.run, run.message, reason, at), asked)
    return close(run, RunCompleted(run.run, run.message, reason, at), asked)


def fail(run: LiveRun, failure: Failure, at: datetime, asked: int | None = None) -> list[Event]:
    """The provider, or we, failed; what was written stays."""
    return close(run, RunFailed(run.run, run.message, failure, at), asked)


def counted(run: LiveRun, asked: int | None) -> Usage:
    """Our own count: the pieces we saw, and ``asked`` tokens of input, where we know that."""
    return priced(Usage("estimated", input_tokens=asked, output_tokens=run.tokens), run.terms.prices)


def close(run: LiveRun, end: RunEnd, asked: int | None = None) -> list[Event]:
    """End the open part, account for what was written, and end the run with ``end``."""
    events: list[Event] = []
    if run.open_kind is not None:
        events.append(PartEnded(run.run, run.message, run.parts - 1, run.length))
    if run.usage is None:
        # Nobody reported: our own count is an estimate.
        events.append(UsageReported(run.run, run.message, counted(run, asked)))
    events.append(end)
    return events
