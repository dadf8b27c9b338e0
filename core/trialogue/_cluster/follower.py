"""The follower: reads on for those who watch what other nodes write.

A hint, or a look now and then, says that a log has grown; its entries are read and put into the tail that its readers share.
Reads group themselves as commits do: while one is under way, everything else accumulates and goes with the next, one
statement for all. What a tail gets continues it without a hole (I7), and only what is committed can be read (I5).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import trio

from trialogue._actors.tail import Tail
from trialogue._cluster.nodes import Nodes
from trialogue._facts.cursor import frame
from trialogue._facts.errors import StorageError
from trialogue._facts.events import Entry
from trialogue._lists.feed import Feeds
from trialogue._storage.one_history import one_history
from trialogue._storage.store import Store
from trialogue._supervision.child import Child

#: Conversations read at once, and entries of each.
MOST, ENTRIES = 200, 200
#: Rows of lists read between two such reads.
ROWS = 10
#: Seconds before a read that failed is made again.
AGAIN = 0.25

_log = logging.getLogger("trialogue.cluster")


class Follower:
    """Keeps the tails and lists of one node at what other nodes have committed.

    ``owned`` says whether a conversation is written here: then its tail gets what the flusher commits, and nothing else.
    """

    def __init__(
        self, store: Store, nodes: Nodes, tails: Mapping[str, Tail], feeds: Feeds, owned: Callable[[str], bool]
    ) -> None:
        self._store = store
        self._nodes = nodes
        self._tails = tails
        self._feeds = feeds
        self._owned = owned
        # Dicts for their order.
        self._dirty: dict[str, None] = {}
        self._lists: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._files: dict[str, str] = {}
        self._known: dict[str, None] = {}
        self._wanted = trio.Event()
        self.reads: int = 0
        self.entries: int = 0

    def __repr__(self) -> str:
        return f"<Follower dirty={len(self._dirty)} lists={len(self._lists)} reads={self.reads}>"

    def known(self) -> list[str]:
        """Conversations that were read here, and perhaps still are."""
        return list(self._known)

    def is_watched(self, conversation: str) -> bool:
        """Whether a conversation is read here and written elsewhere. One whose tail nobody holds is known no longer."""
        tail = self._tails.get(conversation)
        if tail is None:
            self._known.pop(conversation, None)
            return False
        return tail.watched and not self._owned(conversation)

    def look(self, conversation: str) -> None:
        """There may be something new in a conversation that somebody begins to read, or reads."""
        if conversation in self._tails:
            self._known[conversation] = None
            self._dirty[conversation] = None
            self._wanted.set()

    def advanced(self, conversation: str, next_seq: int) -> None:
        """A conversation's log goes on to ``next_seq``."""
        tail = self._tails.get(conversation)
        if tail is not None and tail.next_seq < next_seq and tail.watched:
            self.look(conversation)

    def listed(self, owner: str, conversation: str, events: tuple[str, ...]) -> None:
        """A conversation changed in ``owner``'s list."""
        if not self._feeds.watches(owner):
            return
        before = self._lists.get(conversation)
        if before is not None:
            events = tuple(dict.fromkeys((*before[1], *events)))
        self._lists[conversation] = (owner, events)
        self._wanted.set()

    def file(self, owner: str, file: str) -> None:
        """A file changed in ``owner``'s list."""
        if self._feeds.watches(owner):
            self._files[file] = owner
            self._wanted.set()

    async def run(self, child: Child) -> None:
        """Read until cancelled."""
        child.started()
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            while self._dirty or self._lists or self._files:
                await self._read()
                await self._tell()

    # --- conversations -------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        names = list(self._dirty)[:MOST]
        for name in names:
            del self._dirty[name]
        starts = {name: self._tails[name].next_seq for name in names if self._follows(name)}
        if not starts:
            await trio.lowlevel.checkpoint()
            return
        try:
            with one_history(self._store):
                found = await self._nodes.follow(starts, ENTRIES)
        except StorageError as error:
            _log.warning("what other nodes wrote is read later: %s", error)
            self._dirty.update(dict.fromkeys(starts))
            await trio.sleep(AGAIN)
            return
        self.reads += 1
        for name, entries in found.items():
            self._publish(name, entries)

    def _follows(self, conversation: str) -> bool:
        tail = self._tails.get(conversation)
        return tail is not None and not tail.is_past and not self._owned(conversation)

    def _publish(self, conversation: str, entries: Sequence[Entry]) -> None:
        tail = self._tails.get(conversation)
        # It may have been claimed here meanwhile: from then on the flusher tells.
        if tail is None or not self._follows(conversation):
            return
        fresh = [entry for entry in entries if entry.seq >= tail.next_seq]
        if fresh and fresh[0].seq != tail.next_seq:
            tail.restart(fresh[0].seq)  # What lies between was pruned; whoever wants it is told to start over.
        count = next((n for n, entry in enumerate(fresh) if entry.seq != tail.next_seq + n), len(fresh))
        if count:
            self.entries += count
            tail.publish([frame(tail.generation, entry) for entry in fresh[:count]])
        if len(entries) == ENTRIES:
            self.look(conversation)

    # --- lists ---------------------------------------------------------------------------------------------------

    async def _tell(self) -> None:
        # A few at a time: who reads a conversation waits for less than who looks at a list.
        for conversation in list(self._lists)[:ROWS]:
            owner, events = self._lists.pop(conversation)
            await self._feeds.advanced(owner, conversation, events)
        for file in list(self._files)[:ROWS]:
            owner = self._files.pop(file)
            with suppress(StorageError), self._feeds.looking(owner):
                found = await self._store.files.file(file)
                self._feeds.file_changed(owner, file, found if found is not None and found.owner == owner else None)
