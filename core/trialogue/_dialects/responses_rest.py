"""What has not been heard yet of a response that has ended, where its stream is not shown any more. Pure.

An upstream may keep a response for longer than it streams it. The whole then says what the stream would have said; what was
heard of it before tells from where.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from trialogue._asking.provider import Piece, ReasoningPiece, TextPiece, ToolCallPiece
from trialogue._dialects.responses_decoder import SEAL, ResponsesDecoder
from trialogue._facts.errors import ProviderError
from trialogue._facts.values import Part, ReasoningPart, ToolCallPart, text_of

#: A longer text comes in several pieces, none of which is too large for an event.
_LONGEST_PIECE: Final = 4_096
#: By so much of its beginning a text is looked for in another, and at so many places.
_HEAD, _PLACES = 64, 64


class Heard:
    """What has been heard of a response: the ``parts`` that it has become so far, and the pieces since."""

    def __init__(self, parts: Sequence[Part] = ()) -> None:
        self._texts = [text_of(tuple(parts))]
        self.calls: int = sum(isinstance(part, ToolCallPart) for part in parts)
        thoughts = [part for part in parts if isinstance(part, ReasoningPart)]
        self.thoughts: int = len(thoughts)
        #: The last thought was not heard to its end.
        self.thinking: bool = bool(thoughts) and thoughts[-1].signature is None

    def __repr__(self) -> str:
        return f"<Heard {sum(map(len, self._texts))} characters calls={self.calls} thoughts={self.thoughts}>"

    @property
    def text(self) -> str:
        """All text of it."""
        return "".join(self._texts)

    def add(self, pieces: Sequence[Piece]) -> None:
        """These were heard."""
        for piece in pieces:
            if isinstance(piece, TextPiece):
                self._texts.append(piece.text)
            elif isinstance(piece, ToolCallPiece):
                self.calls += 1
            elif isinstance(piece, ReasoningPiece):
                self.thoughts += not self.thinking
                self.thinking = piece.signature is None


class _Text(msgspec.Struct):
    text: str = ""
    refusal: str = ""


class _Item(msgspec.Struct):
    type: str
    id: str | None = None
    content: list[_Text] | None = None
    summary: list[_Text] | None = None
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str = ""
    arguments: str = ""


class _Whole(msgspec.Struct):
    status: str
    output: list[_Item] = []


def rest_of(response: object, heard: Heard) -> list[Piece] | None:
    """The pieces of ``response`` (JSON, decoded) that were not ``heard``; ``None`` while it goes on.

    Raises ``ProviderError``: it failed, was cancelled, or cannot be read.
    """
    try:
        whole = msgspec.convert(response, _Whole)
        if whole.status in ("queued", "in_progress"):
            return None
        return [*_unheard(whole.output, heard), *_end(whole.status, response)]
    except (msgspec.ValidationError, RecursionError) as error:
        raise ProviderError(f"the upstream keeps a response that cannot be read: {error}", kind="malformed") from error


def _unheard(output: Sequence[_Item], heard: Heard) -> Iterator[Piece]:
    texts = [
        "".join(one.text or one.refusal for one in item.content or ()) for item in output if item.type == "message"
    ]
    known = _overlap(heard.text, "".join(texts))
    calls = thoughts = 0
    for item in output:
        match item.type:
            case "message":
                text = texts.pop(0)
                yield from _pieces(text[known:])
                known = max(known - len(text), 0)
            case "function_call":
                calls += 1
                if calls > heard.calls:
                    yield ToolCallPiece(item.name, item.arguments, item.call_id)
            case "reasoning":
                thoughts += 1
                yield from _thought(item, heard, thoughts)
            case _:
                pass


def _thought(item: _Item, heard: Heard, number: int) -> Iterator[Piece]:
    summary = "\n\n".join(one.text for one in item.summary or ())
    if number > heard.thoughts and summary:
        yield ReasoningPiece(summary)
    new = number > heard.thoughts or (number == heard.thoughts and heard.thinking)
    if new and item.id and item.encrypted_content:
        yield ReasoningPiece("", f"{item.id}{SEAL}{item.encrypted_content}")


def _pieces(text: str) -> Iterator[Piece]:
    for at in range(0, len(text), _LONGEST_PIECE):
        yield TextPiece(text[at : at + _LONGEST_PIECE])


def _overlap(said: str, text: str) -> int:
    """How much of ``text`` was said: all that was ``said``, or, if that began with another response, what it ends with."""
    if text.startswith(said):
        return len(said)
    head = text[:_HEAD]
    at = said.find(head)
    for _ in range(_PLACES):
        if at < 0:
            break
        if text.startswith(said[at:]):
            return len(said) - at
        at = said.find(head, at + 1)
    return next((length for length in range(len(head), 0, -1) if said.endswith(head[:length])), 0)


def _end(status: str, response: object) -> list[Piece]:
    """The end, as its last event would have told it."""
    decoder = ResponsesDecoder()
    kind = status if status in ("completed", "incomplete") else "failed"
    event = msgspec.json.encode({"type": f"response.{kind}", "response": response})
    pieces = decoder.feed(b"data: %b\n" % event)
    if decoder.failure is not None:
        raise decoder.failure
    return pieces
