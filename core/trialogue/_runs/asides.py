"""What a model is asked beside the answers: a title, a summary. A few at a time, each for a bounded time.

Nothing waits for it, and when it fails or the process ends, things stay as they were. What it cost is charged to whom the
answer was charged, as a run of its own. A conversation that is removed needs none of it any more. What is asked, and when,
is the business of ``titling`` and ``compacting``.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol

import trio

from trialogue._actors.node import Node
from trialogue._asking.asking import Answering, Question
from trialogue._asking.estimates import estimate_request
from trialogue._asking.provider import Request, TextPiece, UsagePiece
from trialogue._deciding.commands import Command, Receipt
from trialogue._facts.errors import TrialogueError
from trialogue._facts.events import Aside
from trialogue._facts.values import Conversation, Model, Terms, Usage
from trialogue._paying.prices import priced
from trialogue._supervision.child import Child
from trialogue._watching.observer import CommandReport, Observer, RunReport

#: The name of whichever model answered.
SAME = "same"
#: Conversations that wait for their turn, and those whose model is being asked. Beyond, things stay as they are.
WAITING, AT_ONCE = 256, 4
#: Seconds that what it cost may take to be written, when it is cut short.
LAST = 5.0

_log = logging.getLogger("trialogue.asides")


class Submit(Protocol):
    """How a command is submitted: ``Engine.submit``."""

    async def __call__(self, conversation: str, command: Command, *, fresh: bool = False) -> Receipt:
        """Have it take effect."""
        ...


class Asides(Observer):
    """A service of one node. ``header`` reads a conversation once all of it is committed, ``submit`` takes commands."""

    #: What is asked for, for people.
    what: str

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
        # What is being asked about, by conversation.
        self._live: dict[str, trio.CancelScope] = {}

    def __repr__(self) -> str:
        waiting = self._send.statistics().current_buffer_used
        return f"<{type(self).__name__} live={len(self._live)} waiting={waiting}>"

    @abstractmethod
    def concerns(self, report: RunReport) -> bool:
        """Whether something may be asked after this run."""

    @abstractmethod
    async def attend(self, report: RunReport) -> None:
        """Ask it. It is cancelled when nothing is wanted any more."""

    def run_ended(self, report: RunReport) -> None:
        if report.outcome == "completed" and self.concerns(report):
            self._notice(report.conversation, report)

    def command_ended(self, report: CommandReport) -> None:
        if report.kind == "UpdateConversation" and report.conversation in self._live:
            self._notice(report.conversation, None)

    def _notice(self, conversation: str, report: RunReport | None) -> None:
        try:
            self._send.send_nowait((conversation, report))
        except trio.WouldBlock:
            _log.info("too many conversations wait for a %s; %s gets none", self.what, conversation)

    async def run(self, child: Child) -> None:
        """Ask until cancelled."""
        child.started()
        async with trio.open_nursery() as nursery:
            async for conversation, report in self._receive.clone():
                if report is None:
                    nursery.start_soon(self._check, conversation)
                elif conversation not in self._live:
                    await self._room.acquire_on_behalf_of(report)
                    # Here and not in the task, which may begin after the next report about the same one.
                    scope = self._live[conversation] = trio.CancelScope()
                    nursery.start_soon(self._attend, report, scope)

    async def _check(self, conversation: str) -> None:
        """Somebody has changed it: nothing may be wanted any more."""
        try:
            header = await self._header(conversation)
        except TrialogueError:
            return
        if (header is None or header.deleted_at is not None) and (scope := self._live.get(conversation)) is not None:
            scope.cancel()

    async def _attend(self, report: RunReport, scope: trio.CancelScope) -> None:
        try:
            with scope:
                await self.attend(report)
        except trio.Cancelled:
            raise
        except TrialogueError as error:
            _log.info("no %s for %s: %s", self.what, report.conversation, error)
        except Exception:
            # A provider's fault is no reason to ask nothing at all any more.
            _log.exception("no %s for %s", self.what, report.conversation)
        finally:
            del self._live[report.conversation]
            self._room.release_on_behalf_of(report)

    async def terms(self, header: Conversation, run: str, model: Model) -> Terms:
        """On whose account: as the answer that ``run`` wrote. Raises ``BudgetError``, ``InvalidError``, ``StorageError``."""
        charge = await self._node.store.ledger.charge(header.owner, run)
        terms = Terms(None if charge is None else charge.key, model.prices)
        await self._node.budgets.check(header.owner, terms)
        return terms

    async def ask(self, asked: Asked, command: Callable[[], Command]) -> None:
        """Ask, and submit the ``command`` that comes of it. Raises ``ProviderError``, and as ``submit``."""
        try:
            await asked.ask(self._node)
        finally:
            # What was heard is charged, however it ended.
            with trio.CancelScope(shield=True, deadline=trio.current_time() + LAST):
                if asked.taken:
                    await self._submit(asked.conversation, command(), fresh=True)


class Asked:
    """One question: ``request`` as it is made of the model's name, for ``patience`` seconds, of which ``most`` code points
    are heard.
    """

    def __init__(
        self,
        node: Node,
        header: Conversation,
        model: Model,
        request: Callable[[str], Request],
        patience: float,
        most: int,
    ) -> None:
        provider, name = node.catalog.provider(model.id)
        self.conversation: str = header.id
        self.text = ""
        #: Whether the response was heard to its end, or as far as it may go.
        self.whole = False
        self._request = request(name)
        self._question = Question(header.owner, model.id, provider, self._request, trio.current_time() + patience)
        self._began: datetime = node.now()
        self._most = most
        self._pieces = 0
        self._usage: Usage | None = None

    def __repr__(self) -> str:
        return f"<Asked {self._question.model} about {self.conversation} whole={self.whole}>"

    @property
    def taken(self) -> bool:
        """Whether it may have cost something."""
        return self._question.taken

    async def ask(self, node: Node) -> None:
        """Raises ``ProviderError``."""
        await node.asking.ask(self._question, self._listen, lambda reason, seconds: None)

    async def _listen(self, answering: Answering) -> None:
        batch = answering.first
        while batch and len(self.text) < self._most:
            self._pieces += len(batch)
            for piece in batch:
                if isinstance(piece, TextPiece):
                    self.text += piece.text
                elif isinstance(piece, UsagePiece):
                    self._usage = piece.usage
            batch = await answering.stream.receive()
        self._question.settle(len(self.text))
        self.whole = True

    def account(self, run: str, terms: Terms) -> Aside:
        """What it cost, as the run of this id."""
        usage = self._usage or Usage(
            "estimated", input_tokens=estimate_request(self._request), output_tokens=self._pieces
        )
        return Aside(run, self._question.model, self._began, priced(usage, terms.prices), terms.key)
