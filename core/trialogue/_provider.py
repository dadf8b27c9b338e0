"""The port to LLM providers: a request goes in, a stream of typed pieces comes out.

A provider is an object a plugin declares (see ``hookspecs``). It raises ``ProviderError`` and nothing else of its own;
what its SDK raises is translated at its edge, ``from`` the original.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import msgspec

from trialogue._values import FinishReason, Message, Model, Settings, Usage


class RequestImage(msgspec.Struct, frozen=True):
    """A picture for a model that sees: its media type, and its bytes in base64, as every upstream wants them."""

    media_type: str
    base64: str

    def __repr__(self) -> str:
        return f"RequestImage({self.media_type!r}, {len(self.base64)} characters)"


class Request(msgspec.Struct, frozen=True):
    """One generation to be made. ``model`` is the name inside the provider, without its prefix.

    ``messages`` is the branch from its root (or from where the context begins) to the message to answer. When ``prefix``
    is not empty the answer already begins with that text and the provider sends only what follows it.

    Files are in the messages as text, under their names. A ``FilePart`` that is left is an image, whose picture stands in
    ``images`` under the file's id; that is so only for a model whose capabilities hold ``vision``.
    """

    model: str
    messages: tuple[Message, ...]
    settings: Settings = Settings()
    system: str | None = None
    prefix: str = ""
    images: dict[str, RequestImage] = {}


class TextPiece(msgspec.Struct, frozen=True, tag="text"):
    """A token (or what the provider sends as one) of the answer."""

    text: str


class ReasoningPiece(msgspec.Struct, frozen=True, tag="reasoning"):
    """A token of what the model thinks aloud.

    A ``signature`` ends the thought: what the provider wants back with it, whatever that is to the provider. It may come
    with an empty text, and a thought may be nothing else.
    """

    text: str
    signature: str | None = None


class UsagePiece(msgspec.Struct, frozen=True, tag="usage"):
    """The provider's own count; the last one counts."""

    usage: Usage


class FinishPiece(msgspec.Struct, frozen=True, tag="finish"):
    """The model ended its answer. A ``UsagePiece`` may still follow; nothing else may."""

    reason: FinishReason


Piece: TypeAlias = TextPiece | ReasoningPiece | UsagePiece | FinishPiece


class ResponseStream(ABC):
    """What comes back from a provider, in batches."""

    @abstractmethod
    async def receive(self) -> Sequence[Piece]:
        """Everything that has arrived, in order; waits until there is something.

        An empty batch means the response is over, and every later call returns one too; who reads up to it lets the
        connection be used again, who leaves before it closes it. A batch takes all that is
        there: the caller paces itself, and pieces it does not fetch wait in the socket. Cancellation closes the socket
        to the upstream within 250 ms.

        Raises ``ProviderError``: the upstream failed, stalled, sent what cannot be read, or ended without a
        ``FinishPiece`` having been sent (``kind="broken"``). The pieces read before the failure have been handed out.
        """


class Provider(ABC):
    """An upstream, or a model of our own."""

    #: Prefix of its model ids; lower case letters, digits and hyphens.
    name: str
    #: Whose published prices hold for its models (``openai``), when it asks that vendor itself. Other prices are for
    #: ``models`` to say, or for the operator.
    vendor: str | None = None

    @abstractmethod
    async def models(self) -> Sequence[Model]:
        """The models it offers now. May ask the upstream; raises ``ProviderError``."""

    def accepts(self, model: str) -> bool:
        """Whether ``model`` (without prefix) may be asked for though ``models`` does not list it. Cheap, no I/O."""
        return False

    @abstractmethod
    def open_response(self, request: Request) -> AbstractAsyncContextManager[ResponseStream]:
        """Make the request; leaving the block ends it and frees everything it held, however it is left.

        Entering raises ``ProviderError``: refused, throttled, unavailable. A request that turns out to be too long once
        it is read may also be refused by ``receive``.
        """

    async def aclose(self) -> None:  # noqa: B027 - most providers have nothing to close
        """Close clients and child processes. Called once, when nothing uses the provider any more."""
