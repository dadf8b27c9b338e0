"""Titles: after the first answer a model may be asked for a better one than the first line of what was said.

It is asked beside the traffic, a few at a time and for a bounded time. Nothing waits for it, and when it fails or the
process ends the first line stays. What it cost is charged to whom the answer was charged (``GiveTitle``). A title that a
person has set is never replaced; a conversation that is removed needs none.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

import trio
from msgspec.structs import replace

from trialogue._actors.child import Child
from trialogue._actors.node import Node
from trialogue._asking.asking import Answering, Question
from trialogue._asking.provider import Request, TextPiece, UsagePiece
from trialogue._deciding.commands import Command, GiveTitle, Receipt
from trialogue._deciding.saying import first_line, titled_by
from trialogue._facts.errors import TrialogueError
from trialogue._facts.events import Titled
from trialogue._facts.values import Conversation, Message, Model, Settings, Terms, TextPart, Usage, text_of
from trialogue._paying.prices import priced
from trialogue._runs.context import estimate_request
from trialogue._watching.observer import CommandReport, Observer, RunReport

#: The value of ``Limits.titles`` for the model that answered.
SAME = "same"
#: Conversations that wait for a title, and those whose model is being asked. Beyond, the first line stays.
WAITING, AT_ONCE = 256, 4
#: Seconds that a title may take, and that what it cost may take to be written when it is cut short.
PATIENCE, LAST = 30.0, 5.0
#: Code points of each message that are shown, and of the response that are read.
SHOWN, HEARD = 1_500, 400
#: Tokens that a response may have: enough for a model that cannot but think first.
MOST_TOKENS = 256

INSTRUCTION = (
    "Write a title for the conversation that you are shown: at most six words, in its language, as it would stand in a "
    "list. Write the title alone, without quotation marks. Do not answer what is asked in it."
)

_log = logging.getLogger("trialogue.titles")


class Titles(Observer):
    """The service of one node. ``header`` reads a conversation once all of it is committed, ``submit`` takes commands."""

    def __init__(
        self,
        node: Node,
        header: Callable[[str], Awaitable[Conversation | None]],
        submit: Submit,
    ) -> None:
        self._node = node
        self._header = header
        self._submit = submit
        self._send, self._receive = trio.open_memory_channel[tuple[str, RunReport | None]](WAITING)
        self._room = trio.CapacityLimiter(AT_ONCE)
        # What is being titled, by conversation.
        self._live: dict[str, trio.CancelScope] = {}

    def __repr__(self) -> str:
        return f"<Titles live={len(self._live)} waiting={self._send.statistics().current_buffer_used}>"

    def run_ended(self, report: RunReport) -> None:
        if report.outcome == "completed":
            self._notice(report.conversation, report)

    def command_ended(self, report: CommandReport) -> None:
        if report.kind == "UpdateConversation" and report.conversation in self._live:
            self._notice(report.conversation, None)

    def _notice(self, conversation: str, report: RunReport | None) -> None:
        try:
            self._send.send_nowait((conversation, report))
        except trio.WouldBlock:
            _log.info("too many conversations wait for a title; %s keeps its first line", conversation)

    async def run(self, child: Child) -> None:
        """Give titles until cancelled."""
        child.started()
        async with trio.open_nursery() as nursery:
            async for conversation, report in self._receive.clone():
                if report is None:
                    nursery.start_soon(self._check, conversation)
                elif conversation not in self._live:
                    await self._room.acquire_on_behalf_of(report)
                    nursery.start_soon(self._attend, report)

    async def _check(self, conversation: str) -> None:
        """Somebody has changed it: a title may not be wanted any more."""
        try:
            header = await self._header(conversation)
        except TrialogueError:
            return
        if (header is None or header.deleted_at is not None) and (scope := self._live.get(conversation)) is not None:
            scope.cancel()

    async def _attend(self, report: RunReport) -> None:
        scope = self._live[report.conversation] = trio.CancelScope()
        try:
            await self._title(report, scope)
        except trio.Cancelled:
            raise
        except TrialogueError as error:
            _log.info("no title for %s: %s", report.conversation, error)
        except Exception:
            _log.exception(
                "no title for %s", report.conversation
            )  # A provider's fault is no reason to give none at all.
        finally:
            del self._live[report.conversation]
            self._room.release_on_behalf_of(report)

    async def _title(self, report: RunReport, scope: trio.CancelScope) -> None:
        header = await self._header(report.conversation)
        said: Sequence[Message] = (
            () if header is None else await self._node.store.path(report.conversation, report.message, 3)
        )
        if header is None or header.deleted_at is not None or not _may_be_titled(header, said):
            return
        node = self._node
        model = node.catalog.describe(_model(node.limits.titles, report.model))
        charge = await node.store.ledger.charge(header.owner, report.run)
        terms = Terms(None if charge is None else charge.key, model.prices)
        await node.budgets.check(header.owner, terms)
        asked = _Asked(node, header, model, said, scope)
        try:
            await asked.ask()
        finally:
            # What was heard is charged, however it ended.
            with trio.CancelScope(shield=True, deadline=trio.current_time() + LAST):
                if asked.taken:
                    await self._submit(header.id, asked.command(terms), fresh=True)


class Submit(Protocol):
    """How a command is submitted: ``Engine.submit``."""

    async def __call__(self, conversation: str, command: Command, *, fresh: bool = False) -> Receipt:
        """Have it take effect."""
        ...


class _Asked:
    """One title that is asked for."""

    def __init__(
        self, node: Node, header: Conversation, model: Model, said: Sequence[Message], scope: trio.CancelScope
    ) -> None:
        self._node = node
        self._header = header
        self._began: datetime = node.now()
        provider, name = node.catalog.provider(model.id)
        self._request = _request(name, said)
        self._question = Question(header.owner, model.id, provider, self._request, trio.current_time() + PATIENCE)
        self._scope = scope
        self._text = ""
        self._pieces = 0
        self._usage: Usage | None = None
        self._whole = False

    @property
    def taken(self) -> bool:
        """Whether it may have cost something."""
        return self._question.taken

    async def ask(self) -> None:
        """Raises ``ProviderError``."""
        with self._scope:
            await self._node.asking.ask(self._question, self._listen, lambda reason, seconds: None)

    async def _listen(self, answering: Answering) -> None:
        batch = answering.first
        while batch and len(self._text) < HEARD:
            self._pieces += len(batch)
            for piece in batch:
                if isinstance(piece, TextPiece):
                    self._text += piece.text
                elif isinstance(piece, UsagePiece):
                    self._usage = piece.usage
            batch = await answering.stream.receive()
        self._question.settle(len(self._text))
        self._whole = True

    def command(self, terms: Terms) -> GiveTitle:
        """What comes of it: the title, if there is one, and what it cost."""
        node = self._node
        usage = self._usage or Usage(
            "estimated", input_tokens=estimate_request(self._request), output_tokens=self._pieces
        )
        titled = Titled(node.new_id(), self._question.model, self._began, priced(usage, terms.prices), terms.key)
        title = clean_title(self._text) if self._whole else None
        return GiveTitle(node.new_id(), node.now(), self._header.title, title, titled)


def clean_title(text: str) -> str | None:
    """The title in what a model wrote; ``None`` when there is none."""
    lines = (" ".join("".join(one if one.isprintable() else " " for one in line).split()) for line in text.splitlines())
    line = next((line for line in lines if line.strip("#*_`\"'- ")), "")
    line = line.removeprefix("Title:").strip("#*_`\"'„“”«» ").rstrip(".")
    return first_line(line) or None


def _may_be_titled(header: Conversation, said: Sequence[Message]) -> bool:
    """Whether it was its first answer, and its title is still the one that was taken from the question."""
    return len(said) == 2 and said[0].parent is None and header.title is not None and header.title == titled_by(said[0])


def _model(wanted: str, answered: str) -> str:
    return answered if wanted == SAME else wanted


def _request(name: str, said: Sequence[Message]) -> Request:
    shown = "\n\n".join(f"{message.role}: {text_of(message.parts)[:SHOWN]}" for message in said)
    question = replace(said[0], parts=(TextPart(shown),))
    return Request(
        name, (question,), Settings(max_tokens=MOST_TOKENS), INSTRUCTION, tool_choice="none", purpose="title"
    )
