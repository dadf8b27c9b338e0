"""The port to LLM providers: a request goes in, a stream of typed pieces comes out.

A provider is an object a plugin declares (see ``hookspecs``). It raises ``ProviderError`` and nothing else of its own;
what its SDK raises is translated at its edge, ``from`` the original.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, TypeAlias

import msgspec
import trio

from trialogue._facts.errors import ProviderError
from trialogue._facts.values import (
    AnswerSchema,
    FinishReason,
    Message,
    Model,
    Part,
    Settings,
    ToolChoice,
    ToolSpec,
    Usage,
)


class RequestImage(msgspec.Struct, frozen=True):
    """A picture for a model that sees: its media type, and its bytes in base64, as every upstream wants them."""

    media_type: str
    base64: str

    def __repr__(self) -> str:
        return f"RequestImage({self.media_type!r}, {len(self.base64)} characters)"


class RequestDocument(msgspec.Struct, frozen=True):
    """The text of a file for a model that says what it takes from where."""

    title: str
    text: str

    def __repr__(self) -> str:
        return f"RequestDocument({self.title!r}, {len(self.text)} characters)"


class Request(msgspec.Struct, frozen=True):
    """One generation to be made. ``model`` is the name inside the provider, without its prefix.

    ``messages`` is the branch from its root (or from where the context begins) to the message to answer. When ``prefix``
    is not empty the answer already begins with that text and the provider sends only what follows it.

    An assistant's message may hold calls of tools and their results between its texts: it is what several generations
    said, and ``rounds_of`` takes it apart as upstreams want it. When the last message is an assistant's, it ends in results,
    and the answer is to go on from there; ``prefix`` is then what the answer says after them.

    ``tools`` may be called as ``tool_choice`` says, where the model's capabilities hold ``tools``. Calls may stand in the
    messages though no tool is offered any more. ``answer_schema`` is given only where they hold ``structured_output``.

    Files are in the messages as text, under their names. A ``FilePart`` that is left is an image, whose picture stands in
    ``images`` under the file's id; that is so only for a model whose capabilities hold ``vision``. Or it is a text for a
    model whose capabilities hold ``citations``, and stands in ``documents``. ``files`` that are left in a tool's result are
    images too.
    """

    model: str
    messages: tuple[Message, ...]
    settings: Settings = Settings()
    system: str | None = None
    prefix: str = ""
    images: dict[str, RequestImage] = {}
    documents: dict[str, RequestDocument] = {}
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice = "auto"
    answer_schema: AnswerSchema | None = None
    #: The last message is an answer that the same upstream paused: it is to be sent back as it is, and goes on from there.
    paused: bool = False
    #: What it is for: an answer in the conversation, its title, or a summary of a part of it.
    purpose: Literal["answer", "title", "summary"] = "answer"


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


class ToolCallPiece(msgspec.Struct, frozen=True, tag="tool_call"):
    """The model calls a tool: one whole call, sent when all of its arguments are there. Several may come in a response.

    ``arguments`` is JSON text as the model wrote it, empty for none; it need not be valid, which the model is then told.
    The upstream's own id of the call is not needed: the call gets one of ours, under which it stands in later requests
    together with its result. What else the upstream wants back with it is the ``signature``.
    """

    name: str
    arguments: str
    signature: str | None = None


class CitationPiece(msgspec.Struct, frozen=True, tag="citation"):
    """Where the text just before it comes from."""

    source: str
    title: str | None = None
    quote: str | None = None


class HandlePiece(msgspec.Struct, frozen=True, tag="handle"):
    """The upstream keeps this response under ``handle``, and goes on with it though nobody reads.

    All pieces before this one are those up to ``cursor``: with both ``Provider.reopen`` goes on from here, in this process
    or another. The cursor grows, and stays before the end of the response, so that its end can be read again.
    """

    handle: str
    cursor: int


class UsagePiece(msgspec.Struct, frozen=True, tag="usage"):
    """The provider's own count; the last one counts."""

    usage: Usage


class FinishPiece(msgspec.Struct, frozen=True, tag="finish"):
    """The model ended its answer, or waits for its tool calls (``tool_call``). Only a ``UsagePiece`` may still follow.

    ``pause``: the upstream worked on it for long enough, and goes on when it is sent its answer back (``Request.paused``).
    """

    reason: FinishReason | Literal["pause"]


Piece: TypeAlias = TextPiece | ReasoningPiece | ToolCallPiece | CitationPiece | HandlePiece | UsagePiece | FinishPiece


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

    def reopen(
        self, model: str, handle: str, cursor: int, said: Sequence[Part] = ()
    ) -> AbstractAsyncContextManager[ResponseStream]:
        """Go on with a response that a ``HandlePiece`` told of, from behind its ``cursor``; else as ``open_response``.

        ``said`` is what has become of it up to there; perhaps behind what an earlier response said of the same answer.
        Nothing is asked for anew, and nothing is paid twice. Entering raises ``ProviderError`` when the upstream does not
        have it any more, or does not show it from there: then it is as lost as one without a handle.
        """
        raise ProviderError(f"{self.name} keeps no responses", kind="refused")

    async def discard(self, model: str, handle: str) -> None:
        """Nobody wants this response any more: let the upstream stop working on it. Called after its block was left.

        Leaving a block alone does not do that, because another process may go on. Raises ``ProviderError``.
        """
        await trio.lowlevel.checkpoint()

    async def prepare(self) -> None:
        """Do what the first request would else wait for, as importing an SDK in a thread. Asks the upstream nothing.

        Called once, soon after the start and beside the traffic; a request may come at any time all the same. What it
        raises is logged. May be cancelled.
        """
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:  # noqa: B027 - most providers have nothing to close
        """Close clients and child processes. Called once, when nothing uses the provider any more."""
