"""The port to tools: what a model may call while it answers. A tool is an object a plugin declares (see ``hookspecs``).

    from trialogue import hookimpl, tool

    @tool
    async def weather(city: str, days: int = 1) -> str:
        "What the weather will be like in a city."
        return await ask_somebody(city, days)

    @hookimpl
    def trialogue_tools(environment):
        return [weather]

Whatever a tool raises becomes a failed result that the model is told of; it never ends the answer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import msgspec

from trialogue._facts.values import CitationPart, ToolSpec
from trialogue._search.search import SearchQuery
from trialogue._search.searcher import Found
from trialogue._tools.owned_texts import OwnedText

#: Looks through what the user has: a query, and how many hits at most. Raises as ``Searcher.search`` does.
Search: TypeAlias = Callable[[SearchQuery, int], Awaitable[Found]]
#: Reads a text that the user has, by the name a citation has for it; ``None`` is none. Raises ``StorageError``.
Read: TypeAlias = Callable[[str], Awaitable[OwnedText | None]]


class ToolError(Exception):
    """For a tool to raise: its words are told to the model. Of any other exception it is told no more than that."""


class ToolFile(msgspec.Struct, frozen=True):
    """A picture or another file that a tool returns. ``media_type`` is what it is said to be; its content decides."""

    name: str
    data: bytes
    media_type: str | None = None

    def __repr__(self) -> str:
        return f"ToolFile({self.name!r}, {len(self.data)} bytes, {self.media_type!r})"


class ToolOutput(msgspec.Struct, frozen=True):
    """What a call came to: ``text`` for the model, and where it comes from for the people who read the answer.

    ``files`` are kept as if the conversation's owner had uploaded them. A model is shown a picture if it sees, and of
    another file what text there is in it.
    """

    text: str
    citations: tuple[CitationPart, ...] = ()
    failed: bool = False
    files: tuple[ToolFile, ...] = ()


class ToolContext(msgspec.Struct, frozen=True):
    """On whose behalf a tool is called, and what it may use. ``call`` is the call's id, the same if it is made again."""

    owner: str
    conversation: str
    run: str
    call: str
    #: When it is given up, on Trio's clock.
    deadline: float
    #: ``None`` where nothing can be looked through.
    search: Search | None = None
    #: ``None`` where nothing can be read.
    read: Read | None = None


class ToolLike(ABC):
    """What a plugin adds: a ``Tool``, or a ``ToolSource``."""

    name: str


class Tool(ToolLike):
    """Something a model may call. All of its attributes stay as they are while it is offered."""

    #: Letters, digits, underscores and hyphens, at most 64; no two tools of a server have the same.
    name: str
    #: For the model: what it does, and when to use it.
    description: str
    #: JSON Schema of its arguments, which are one object.
    parameters: dict[str, Any]  # A JSON Schema: any JSON.
    #: A person is asked before each call, unless the conversation says otherwise.
    needs_approval: bool = False
    #: Calling it again with the same arguments does no harm: a call that a crash cut off is made again.
    idempotent: bool = False
    #: Seconds after which a call is given up; the server's own bound may be less.
    timeout: float = 30.0

    @property
    def spec(self) -> ToolSpec:
        """What a model is told of it."""
        return ToolSpec(self.name, self.description, self.parameters)

    @abstractmethod
    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolOutput:
        """Do it. ``arguments`` is what the model sent, any JSON object: it need not be what ``parameters`` describes.

        Is cancelled when the answer is stopped or its time is over, and then ends within 250 ms. Calls run side by side.
        Raises ``ToolError`` with words for the model.
        """

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


class ToolSource(ToolLike):
    """Tools that come and go, as those of another server do."""

    #: For the operator; not part of its tools' names.
    name: str

    @abstractmethod
    async def tools(self) -> Sequence[Tool]:
        """Those there are now. Asked before each generation, so it must answer from memory; what it raises is logged."""

    async def serve(self) -> None:
        """What is done in the background while the server runs, as keeping a connection; all of it ends when this is
        cancelled, within a second or two. Returning is no error. What it raises is logged, and it is called again, later.
        """

    async def aclose(self) -> None:
        """Close connections and child processes. Called once, when nothing uses its tools any more."""
