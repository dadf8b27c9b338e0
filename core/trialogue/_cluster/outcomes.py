"""What became of a command, as nodes tell each other: its receipt, or the error that refused it."""

from __future__ import annotations

import msgspec

from trialogue._deciding.commands import Receipt
from trialogue._facts import errors as _errors
from trialogue._facts.errors import BrokenError, ElsewhereError, TrialogueError


class Refusal(msgspec.Struct, frozen=True, tag="refused", omit_defaults=True):
    """An error, by its class's name."""

    kind: str
    detail: str
    pointer: str | None = None
    retry_after: float | None = None
    node: str = ""


class Success(msgspec.Struct, frozen=True, tag="done"):
    """A receipt."""

    receipt: Receipt


_encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[Success | Refusal] = msgspec.json.Decoder(Success | Refusal)


def encode_outcome(outcome: Receipt | TrialogueError) -> bytes:
    """As JSON."""
    if isinstance(outcome, Receipt):
        return _encode(Success(outcome))
    node = outcome.node if isinstance(outcome, ElsewhereError) else ""
    return _encode(Refusal(type(outcome).__name__, outcome.detail, outcome.pointer, outcome.retry_after, node))


def is_refusal(data: bytes) -> bool:
    """Whether it is none that stays true: what was refused once may take effect another time."""
    try:
        return not isinstance(_decoder.decode(data), Success)
    except msgspec.DecodeError:
        return True


def decode_outcome(data: bytes) -> Receipt:
    """The receipt. Raises the error, or ``BrokenError`` for what cannot be read."""
    try:
        found = _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise BrokenError("another node gave an answer that cannot be read: look at the versions of both") from error
    if isinstance(found, Success):
        return found.receipt
    raise _error(found)


def _error(refusal: Refusal) -> TrialogueError:
    if refusal.kind == "ElsewhereError":
        return ElsewhereError(refusal.detail, refusal.node, retry_after=refusal.retry_after)
    kind = getattr(_errors, refusal.kind, None)
    if not (isinstance(kind, type) and issubclass(kind, TrialogueError)):
        kind = BrokenError  # Of a plugin, or of another version.
    try:
        return kind(refusal.detail, pointer=refusal.pointer, retry_after=refusal.retry_after)
    except TypeError:  # One that is made otherwise.
        return BrokenError(refusal.detail, retry_after=refusal.retry_after)
