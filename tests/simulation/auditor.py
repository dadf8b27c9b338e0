"""The auditor sees every write at the instant at which it takes effect, and holds it against the log's own story.

What it checks is local and cheap: numbers (I3), epochs (I2, I4), that each event can follow from those before it, and that
the rows written with it say the same. What it finds ends the seed.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
from simulation.fold import Fold, Impossible, Json, require, same_message

from trialogue import Claim, Flush
from trialogue.testing._memory_ledger import Book
from trialogue.testing._memory_nodes import NodeTable
from trialogue.testing._memory_rows import Row


class Auditor:
    """One per world. ``found`` lists what is wrong; ``on_found`` is called at the first of it."""

    def __init__(self, book: Book, budget: int | None) -> None:
        self.book = book
        self.budget = budget
        self.found: list[str] = []
        self.on_found: Callable[[], None] = lambda: None
        self.folds: dict[str, Fold] = {}
        self._epochs: dict[str, dict[int, str]] = {}
        self._highest: dict[str, int] = {}

    def find(self, *told: object) -> None:
        """Something is wrong."""
        self.found.append(" ".join(map(str, told)))
        self.on_found()

    def claimed(self, conversation: str, node: str, claim: Claim) -> None:
        """An epoch belongs to one claim, ever."""
        known = self._epochs.setdefault(conversation, {})
        if claim.epoch in known:
            self.find(f"epoch {claim.epoch} of {conversation} was given to {known[claim.epoch]} and to {node}")
        known[claim.epoch] = node

    def go_back(self, conversation: str, row: Row) -> None:
        """The store holds less than it did: what it holds is all there has been."""
        self.folds[conversation] = fold_row(row)
        known = self._epochs.get(conversation, {})
        self._epochs[conversation] = {epoch: node for epoch, node in known.items() if epoch <= row.epoch}
        self._highest[conversation] = row.entries[row.next_seq - 1].epoch

    def handed_over(self, conversation: str, before: str, after: str, by: str, table: NodeTable) -> None:
        """A conversation is taken only from a node that is gone or let go of it, and let go of only by its owner."""
        if after == by and table.alive(before):
            self.find(f"{conversation} was taken by {by} from {before}, which is alive")
        if after == "" and before != by:
            self.find(f"{conversation} of {before} was let go of by {by}")

    def written(self, flush: Flush, row: Row) -> None:
        """A flush arrived and was or was not taken: look at what is new in the log."""
        try:
            self._read_on(flush.conversation, row)
            self._look_at_book(flush.conversation)
        except (Impossible, KeyError, IndexError, ValueError) as error:
            self.find(f"{flush.conversation}: {error!r} in {flush}")

    def _look_at_book(self, conversation: str) -> None:
        """Every run that ever started has one charge: an open one while it is live, and then a settled one."""
        fold = self.folds[conversation]
        live = {fold.run["run"]} if fold.run else set[str]()
        opened = {charge.run for charge in self.book.open.values() if charge.conversation == conversation}
        settled = {charge.run for charge in self.book.settled.values() if charge.conversation == conversation}
        require(opened == live, "open charges", opened, "while live is", live)
        over = set(fold.ends) - live | set(fold.asides)
        require(settled == over, "settled charges", settled, "of the runs", over)
        held = sum(hold.tokens for hold in self.book.holds.values())
        require(self.budget is None or held <= self.budget, held, "tokens are set aside of", self.budget)

    def _read_on(self, conversation: str, row: Row) -> None:
        fold = self.folds.setdefault(conversation, Fold())
        touched: dict[str, None] = {}
        new = range(fold.next_seq, row.next_seq)
        for seq in new:
            entry = row.entries[seq]
            require(entry.seq == seq, "number", entry.seq, "in the place of", seq)
            require(self._highest.get(conversation, 0) <= entry.epoch, "epoch", entry.epoch, "after a higher one")
            require(entry.epoch == row.epoch or seq == 0, "written at", entry.epoch, "while the owner has", row.epoch)
            self._highest[conversation] = entry.epoch
            require(json.loads(entry.data)["type"] == entry.type, "type", entry.type)
            fold.apply(entry.data)
            touched.update(dict.fromkeys(fold.touched))
        require(len(row.entries) == row.next_seq, "entries beyond the log's end")
        if new:
            compare(fold, row, touched)


def compare(fold: Fold, row: Row, names: dict[str, None]) -> None:
    """The rows say what the log says: the header, the named messages, the actor's snapshot, what is unfinished."""
    require(fold.header == plain(row.header), "header", plain(row.header), "where the log says", fold.header)
    for name in names:
        stored = row.message(name)
        told = fold.messages.get(name)
        require((stored is None) == (told is None), "message", name, "is", stored, "where the log says", told)
        if told is not None and not (fold.run and fold.run["message"] == name):
            require(same_message(told, plain(stored)), "row", stored, "where the log says", told)
    require(row.unfinished == bool(fold.run or fold.inbox), "unfinished is", row.unfinished)
    if row.snapshot is not None and row.snapshot_seq == fold.next_seq:
        _compare_snapshot(fold, json.loads(row.snapshot))


def _compare_snapshot(fold: Fold, state: Json) -> None:
    require(state["next_seq"] == fold.next_seq, "the snapshot is as of", state["next_seq"], "at", fold.next_seq)
    require(state["header"] == fold.header, "the snapshot's header")
    require(state.get("inbox", []) == fold.inbox, "the snapshot's inbox is", state.get("inbox"), "not", fold.inbox)
    live = None if state.get("run") is None else state["run"]["run"]
    require(live == (fold.run and fold.run["run"]), "the snapshot's run is", live)


def fold_row(row: Row, end: int | None = None) -> Fold:
    """The log's story up to number ``end - 1``, told from the beginning."""
    fold = Fold()
    for seq in range(row.next_seq if end is None else end):
        fold.apply(row.entries[seq].data)
    return fold


def plain(value: object) -> Json:
    """A struct as JSON has it."""
    decoded: Json = json.loads(msgspec.json.encode(value))
    return decoded
