"""What a live run writes into the log: pieces become parts and deltas, and every run ends in one terminal event. Pure.

Each function returns events that are to be appended together, in the given order, to the state it was given.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from trialogue._asking.provider import (
    CitationPiece,
    FinishPiece,
    HandlePiece,
    Piece,
    ReasoningPiece,
    TextPiece,
    ToolCallPiece,
    UsagePiece,
)
from trialogue._deciding.live_run import LiveRun
from trialogue._facts.events import Event
from trialogue._facts.run_events import (
    GenerationStarted,
    OpenCall,
    PartAdded,
    PartDelta,
    PartEnded,
    PartKind,
    PartStarted,
    RunAttached,
    RunCompleted,
    RunEnded,
    RunFailed,
    RunIncomplete,
    RunStarted,
    ToolReturned,
    UsageReported,
)
from trialogue._facts.values import CitationPart, Failure, FilePart, FinishReason, ToolCallPart, Usage, call_id
from trialogue._paying.prices import plus, priced

#: Code points per token of a call's name and arguments, as it is counted where the provider does not say.
CODE_POINTS_PER_TOKEN = 4

#: What a model is told of a call whose answer ended before there was a result.
NOT_CALLED = "The tool was not called: the answer ended before."
UNKNOWN = "The answer ended while the tool was at work. Whether it had an effect is not known."


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
                events.append(UsageReported(run.run, run.message, so_far(run, piece.usage)))
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


def pause(run: LiveRun, at: datetime, asked: int | None = None) -> list[Event]:
    """The provider paused the turn: what was said is whole, accounted for, and the next generation goes on with it."""
    ended = [] if run.open_kind is None else [PartEnded(run.run, run.message, run.parts - 1, run.length)]
    number = run.steps.generation + 1
    started = GenerationStarted(run.run, run.message, number, at, counted(run, asked), paused=True)
    return [*ended, *account(run, asked), started]


def finish(run: LiveRun, reason: FinishReason, at: datetime, asked: int | None = None) -> list[Event]:
    """The model ended its answer: completed, or incomplete when a limit of the provider's cut it."""
    if reason in ("length", "content_filter"):
        return close(run, RunIncomplete(run.run, run.message, reason, at), asked)
    return close(run, RunCompleted(run.run, run.message, reason, at), asked)


def fail(
    run: LiveRun, failure: Failure, at: datetime, asked: int | None = None, following: str | None = None
) -> list[Event]:
    """The provider, or we, failed; what was written stays. ``following`` is the run that goes on, if one does."""
    return close(run, RunFailed(run.run, run.message, failure, at, following), asked)


def followed(
    run: LiveRun,
    following: str,
    at: datetime,
    cause: Literal["recover", "failover", "repair"],
    calls: tuple[OpenCall, ...] = (),
) -> RunStarted:
    """The start of the run that goes on from where ``run``, which was just closed, has come to, ``calls`` being open."""
    return RunStarted(
        following,
        run.message,
        run.model,
        at,
        run.settings,
        cause,
        attempt=run.attempt + 1,
        first_part=run.parts,
        terms=run.terms,
        asked=run.asked,
        before=(*run.before, run.run),
        calls=calls,
        repairs=run.repairs,
    )


def counted(run: LiveRun, asked: int | None) -> Usage:
    """Our own count: the pieces we saw, and ``asked`` tokens of input in the present generation, where we know that."""
    own = Usage("estimated", input_tokens=asked, output_tokens=run.tokens - run.steps.tokens)
    return plus(run.steps.counted, priced(own, run.terms.prices))


def so_far(run: LiveRun, usage: Usage) -> Usage:
    """What the run has cost with the ``usage`` that is reported of its present generation."""
    return plus(run.steps.usage, priced(usage, run.terms.prices))


def account(run: LiveRun, asked: int | None) -> list[Event]:
    """The usage when a generation is over: what was reported if all of it was, and else our own count."""
    usage, before = run.usage, run.steps.usage
    if usage is None and before is not None and not asked and run.tokens == run.steps.tokens:
        usage = before  # The present one was never asked.
    if usage is None or usage.source == "estimated":
        usage = counted(run, asked)
    return [] if usage == run.usage else [UsageReported(run.run, run.message, usage)]


def returned(
    run: LiveRun,
    call: str,
    text: str,
    at: datetime,
    *,
    failed: bool = False,
    citations: tuple[CitationPart, ...] = (),
    files: tuple[FilePart, ...] = (),
) -> ToolReturned:
    """The result of one of its calls, as the answer's next part."""
    return ToolReturned(run.run, run.message, run.parts, call, text, at, failed, citations, files)


def close(run: LiveRun, end: RunEnded, asked: int | None = None, *, keep: bool = False) -> list[Event]:
    """End the open part, account for what was written, and end the run with ``end``.

    Calls without a result get one that says why, unless whoever follows is to ``keep`` them.
    """
    events: list[Event] = []
    if run.open_kind is not None:
        events.append(PartEnded(run.run, run.message, run.parts - 1, run.length))
    for number, call in enumerate(() if keep else run.steps.calls):
        text = UNKNOWN if call.state == "called" else NOT_CALLED
        events.append(ToolReturned(run.run, run.message, run.parts + number, call.call, text, end.at, failed=True))
    return [*events, *account(run, asked), end]
