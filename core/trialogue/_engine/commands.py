"""Commands on their way to a mailbox, here or on the node that owns their conversation, and their receipts back."""

from __future__ import annotations

import time

import msgspec
import trio

from trialogue._actors.letter import Letter
from trialogue._actors.node import Node
from trialogue._cluster.router import Router
from trialogue._cluster.transport import Parcel
from trialogue._deciding.commands import (
    Command,
    ContinueAnswer,
    EditMessage,
    PostMessage,
    Receipt,
    Regenerate,
)
from trialogue._engine.registry import Registry
from trialogue._facts.errors import ClosedError, ElsewhereError, StorageError, TrialogueError
from trialogue._watching.observer import CommandReport


class Commands:
    """Those that come in at one node."""

    def __init__(self, node: Node, cells: Registry) -> None:
        #: Where there may be other nodes: finds the one to ask.
        self.router: Router | None = None
        self._node = node
        self._cells = cells

    async def submit(self, parcel: Parcel) -> Receipt:
        """See ``Engine.submit``."""
        began = trio.current_time()
        try:
            receipt = await self._routed(parcel)
        except TrialogueError as error:
            self._tell(parcel, began, error.code)
            raise
        self._tell(parcel, began)
        return receipt

    async def submit_here(self, parcel: Parcel) -> Receipt:
        """See ``Engine.submit_here``."""
        if self._node.draining and not self._runs(parcel.conversation):
            raise ElsewhereError("this node is stopping and takes nothing new", "")
        try:
            return await self._carried_out(parcel)
        except ElsewhereError:
            self._cells.forget_unused(parcel.conversation)
            raise

    async def _routed(self, parcel: Parcel) -> Receipt:
        if self.router is not None:
            return await self.router.submit(msgspec.structs.replace(parcel, command=self._priced(parcel.command)))
        self._node.must_take_work()
        return await self._carried_out(parcel)

    async def _carried_out(self, parcel: Parcel) -> Receipt:
        self._must_be_possible(parcel.command)
        await self._node.fitting.check_command(parcel.command)
        letter = Letter(self._priced(parcel.command), parcel.fresh, self._node.observers.cause())
        self._cells.cell(parcel.conversation).post(letter)
        receipt = await letter.reply.wait()
        if letter.ended is not None and letter.ended.id == receipt.run:
            await letter.ended.ended.wait()
        return receipt

    def _must_be_possible(self, command: Command) -> None:
        if self._node.held and isinstance(command, EditMessage | Regenerate | ContinueAnswer):
            raise ClosedError("the server is being replaced: try again in a moment", retry_after=2)
        failing = self._node.flusher.failing
        if failing is not None:
            # Each gets one of his own: an error that is raised again and again keeps the frames of every time.
            raise StorageError(failing.detail, retry_after=failing.retry_after)

    def _runs(self, conversation: str) -> bool:
        cell = self._cells.get(conversation)
        return cell is not None and cell.phase == "running"

    def _priced(self, command: Command) -> Command:
        """The command with the prices in force now, if it may start a run of a model whose prices are known."""
        match command:
            case PostMessage() | EditMessage() | Regenerate() | ContinueAnswer():
                prices = command.terms.prices or self._node.catalog.describe(command.model).prices
                terms = msgspec.structs.replace(command.terms, prices=prices)
                return command if prices is None else msgspec.structs.replace(command, terms=terms)
            case _:
                return command

    def _tell(self, parcel: Parcel, began: float, error: str | None = None) -> None:
        observers, kind = self._node.observers, type(parcel.command).__name__
        seconds, cause = trio.current_time() - began, observers.cause()
        observers.command_ended(CommandReport(kind, parcel.conversation, time.time_ns(), seconds, error, cause))
