"""The registry: the cells of one node, by conversation, and how they go: to rest, for good, or in a crash."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import trio

from trialogue._actors.activation import Activation
from trialogue._actors.cell import Cell
from trialogue._actors.node import Node
from trialogue._facts.errors import TrialogueError


class Registry:
    """A conversation's owner in this process, for each that has one. Walking through it is safe at any time."""

    def __init__(self, node: Node) -> None:
        #: Told of a conversation whose activation is dropped here, and of its epoch.
        self.rested: Callable[[str, int], None] = lambda conversation, epoch: None
        self._node = node
        self._cells: dict[str, Cell] = {}

    def __repr__(self) -> str:
        return f"<Registry cells={len(self)}>"

    def __len__(self) -> int:
        return len(self._cells)

    def __iter__(self) -> Iterator[Cell]:
        return iter(tuple(self._cells.values()))

    def get(self, conversation: str) -> Cell | None:
        """Its cell, if it has one."""
        return self._cells.get(conversation)

    def activation(self, conversation: str) -> Activation | None:
        """Its activation, if it is awake here."""
        cell = self._cells.get(conversation)
        return None if cell is None else cell.activation

    def cell(self, conversation: str) -> Cell:
        """Its cell, made if it has none."""
        cell = self._cells.get(conversation)
        if cell is None:
            cell = self._cells[conversation] = Cell(self._node, conversation)
        return cell

    # --- how they go ---------------------------------------------------------------------------------------------

    def forget_unused(self, conversation: str) -> None:
        """It is awake elsewhere: what was made here for the asking goes."""
        cell = self._cells.get(conversation)
        if cell is not None and cell.activation is None and cell.may_rest():
            del self._cells[conversation]

    async def end(self, cell: Cell, error: TrialogueError) -> None:
        """End whatever goes on in one, for ``error``; returns when its run is gone. Others may have a new one meanwhile."""
        if self._cells.get(cell.id) is cell:
            del self._cells[cell.id]
        await cell.close(error)

    def rest(self, idle: float) -> int:
        """Drop those that have had nothing to do for ``idle`` seconds; returns how many."""
        horizon = trio.current_time() - idle
        quiet = [cell for cell in self if cell.used_at <= horizon and cell.may_rest()]
        for cell in quiet:
            self.let_rest(cell)
        return len(quiet)

    def let_rest(self, cell: Cell) -> None:
        """Drop one. One that is parked stays, so that it stays parked."""
        if cell.faulted or self._cells.get(cell.id) is not cell:
            return
        del self._cells[cell.id]
        if cell.activation is not None and cell.activation.gone is None:
            self.rested(cell.id, cell.activation.epoch)

    def crashed(self, key: str, error: Exception) -> None:
        """A task of conversation ``key`` raised."""
        cell = self._cells.get(key)
        if cell is not None:
            cell.crashed(error)

    def statistics(self) -> dict[str, object]:
        """How many there are in which phase, and what waits in them."""
        return {
            "cells": dict(Counter(cell.phase for cell in self)),
            "mailboxes": sum(cell.waiting for cell in self),
            "inboxes": sum(cell.queued for cell in self),
        }
