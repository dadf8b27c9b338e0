"""Feeds: what concerns one user's list, as it is committed, for whoever has that list in view.

A feed is a projection and has no log of its own: its frames are numbered in memory, as many as fit into ``BYTES``. A reader
that comes back within ``KEPT`` seconds, and has missed no more than that, gets exactly what followed; any other starts over
from a snapshot, and is told so. Nothing is made for a user whom nobody watches: a commit then costs one look-up.

What the flusher commits in this process passes ``committed``. What comes into the store in another way (a conversation that
is created, forked or imported, or that another process advanced) passes ``advanced``: that is where a hint "conversation X
of user U advanced" from another node is to go.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from weakref import WeakValueDictionary

import msgspec
import trio

from trialogue._actors.tail import Frames
from trialogue._deciding.state import State, decode_state
from trialogue._facts.errors import InvalidError, StorageError
from trialogue._files.files import File, file_view
from trialogue._lists.listed import (
    ConversationChanged,
    ConversationPurged,
    FileRemoved,
    FileUpdated,
    Listed,
    ListSnapshot,
    listed,
    listed_at_rest,
)
from trialogue._storage.store import Flush, Store

#: Frames of one user kept in memory, in bytes: some two hundred changes.
BYTES = 65_536
#: Seconds for which a feed outlives its last reader: a phone in a tunnel, a page that is loaded anew.
KEPT = 120.0
#: Feeds without a reader, at most: with ``BYTES`` that bounds their memory.
MOST_KEPT = 512

#: Rows of conversations in which something is going on, in a snapshot.
RUNNING = 200

_log = logging.getLogger("trialogue.feed")
_FORM = re.compile(r"([0-9a-f]{16})\.(\d{12})")
_encoder = msgspec.json.Encoder()


class Feed(Frames):
    """One user's feed: ``id`` names this journal, the frames in it count from 1."""

    __slots__: tuple[str, ...] = ("_left", "_snapshot", "id", "owner")

    def __init__(
        self, owner: str, snapshot: Callable[[Feed, int, int], Awaitable[bytes]], left: Callable[[Feed], None]
    ) -> None:
        super().__init__(1, BYTES)
        self.id: str = secrets.token_hex(8)
        self.owner: str = owner
        self._snapshot = snapshot
        self._left = left

    def __repr__(self) -> str:
        return f"<Feed {self.id} of {self.owner} {self.base}..{self.next_seq} readers={len(self._wakers)}>"

    @property
    def size(self) -> int:
        """Bytes of its frames."""
        return self._size

    def add(self, event: ConversationChanged | ConversationPurged | FileUpdated | FileRemoved) -> None:
        """Publish an event."""
        kind = str(event.__struct_config__.tag)
        self.publish([_frame(self.token(self.next_seq), kind, _encoder.encode(event))])

    def lose(self) -> None:
        """Something happened that this journal does not hold: every reader starts over."""
        self.restart(self.next_seq + 1)

    def token(self, seq: int) -> str:
        """The cursor after frame ``seq``."""
        return f"{self.id}.{seq:012d}"

    def attach(self, wake: Callable[[], None]) -> Callable[[], None]:
        """As ``Frames.attach``; after its last reader the feed is kept for a while."""
        detach = super().attach(wake)

        def leave() -> None:
            detach()
            self._left(self)

        return leave

    async def read_log(self, seq: int, limit: int = 500) -> tuple[bytes, int]:
        """For a reader who is behind what is in memory: a reset and a snapshot, and the number that follows it."""
        del seq, limit
        return await self.start_over("what followed is no longer kept")

    async def start_over(self, reason: str | None, rows: int = 50) -> tuple[bytes, int]:
        """A snapshot of ``rows`` rows, behind a reset if there is a ``reason``. Raises ``StorageError``."""
        # What is committed while the list is read is in the snapshot, or follows, or both; rows are whole.
        next_seq = self.next_seq
        reset = b"" if reason is None else b'event: reset\ndata: {"type":"reset","reason":"%b"}\n\n' % reason.encode()
        return reset + await self._snapshot(self, next_seq - 1, rows), next_seq

    def why_not(self, name: str, seq: int) -> str | None:
        """Why reading cannot go on after frame ``seq`` of journal ``name``; ``None`` when it can."""
        if name != self.id or seq >= self.next_seq:
            return "it is of another process, or too old"
        return None if seq + 1 >= self.base else "what followed is no longer kept"


class Feeds:
    """The feeds of one node's users."""

    def __init__(self, store: Store) -> None:
        self._store = store
        #: Told of a user to whose list something may have happened that nobody knows.
        self.on_unsure: Callable[[str], None] = lambda owner: None
        #: Feeds that somebody holds: a reader, or ``_kept``.
        self._feeds: WeakValueDictionary[str, Feed] = WeakValueDictionary()
        #: Those that were asked for or left lately, the longest ago first, with the time until which they are kept.
        self._kept: OrderedDict[str, tuple[Feed, float]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Feeds {len(self._feeds)} kept={len(self._kept)}>"

    # --- for readers ---------------------------------------------------------------------------------------------

    async def resume(self, owner: str, cursor: str | None, rows: int = 50) -> tuple[Feed, bytes, int]:
        """A user's feed, its first bytes for a reader with this cursor, and the number of the frame that comes next.

        Without a cursor a ``snapshot`` of ``rows`` rows; with one that can be continued, nothing; else ``reset`` and a
        snapshot. Raises ``InvalidError`` (not a cursor), ``StorageError``.
        """
        feed = self._watch(owner)
        reason = None
        if cursor is not None:
            found = _FORM.fullmatch(cursor)
            if found is None:
                raise InvalidError(f"{cursor[:64]!r} is not a cursor of a list: send one back as it came, or none")
            name, seq = found[1], int(found[2])
            reason = feed.why_not(name, seq)
            if reason is None:
                return feed, b"", seq + 1
        return feed, *await feed.start_over(reason, rows)

    def _watch(self, owner: str) -> Feed:
        feed = self._feeds.get(owner)
        if feed is None:
            feed = self._feeds[owner] = Feed(owner, self._snapshot, self._keep)
        self._keep(feed)
        return feed

    def _keep(self, feed: Feed) -> None:
        self._kept[feed.owner] = (feed, trio.current_time() + KEPT)
        self._kept.move_to_end(feed.owner)
        self.sweep()

    def sweep(self) -> None:
        """Let go of feeds that nobody has come back to."""
        now = trio.current_time()
        while self._kept and (len(self._kept) > MOST_KEPT or next(iter(self._kept.values()))[1] <= now):
            self._kept.popitem(last=False)

    async def _snapshot(self, feed: Feed, seq: int, rows: int) -> bytes:
        token = feed.token(seq)
        page = await self._store.conversations(feed.owner, limit=rows)
        busy = {row.id: row for row in map(_row, await self._store.unfinished_of(feed.owner, RUNNING))}
        shown = tuple(busy.pop(one.id, listed_at_rest(one, one.version)) for one in page.conversations)
        snapshot = ListSnapshot(shown, tuple(busy.values()), page.cursor, page.cursor is not None, token)
        return _frame(token, "snapshot", _encoder.encode(snapshot))

    # --- what happened -------------------------------------------------------------------------------------------

    def committed(self, flush: Flush, standing: bool = True) -> None:
        """The flusher committed ``flush``; ``standing`` unless its activation has ended meanwhile. Never raises."""
        feed = self._feeds.get(flush.header.owner) if flush.header is not None else None
        if feed is None or flush.snapshot is None:
            return
        if not standing:  # Purged perhaps, or begun anew from the log: what came first is not known here.
            feed.lose()
            return
        types = dict.fromkeys(entry.type for entry in flush.entries if not entry.type.startswith("part."))
        try:
            feed.add(ConversationChanged(_row(flush.snapshot), tuple(types)))
        except Exception:  # The flusher has others to serve.
            _log.exception("a change of conversation %s cannot be shown in its owner's list", flush.conversation)
            feed.lose()

    def purged(self, owner: str, conversation: str) -> None:
        """A conversation was removed for good."""
        feed = self._feeds.get(owner)
        if feed is not None:
            feed.add(ConversationPurged(conversation))

    def file_changed(self, owner: str, file: str, value: File | None) -> None:
        """A file of ``owner``'s was added or learnt about, or removed (``None``)."""
        feed = self._feeds.get(owner)
        if feed is not None:
            feed.add(FileRemoved(file) if value is None else FileUpdated(file_view(value)))

    async def advanced(self, owner: str, conversation: str, events: tuple[str, ...] = ()) -> None:
        """A conversation changed where no flush told of it: it is read, if anyone wants to know.

        ``events`` says what is known of what happened. When it cannot be read, readers start over: no error comes out.
        """
        feed = self._feeds.get(owner)
        if feed is None:
            return
        with suppress(StorageError), self.looking(owner):
            view = await self._store.view(conversation, 0)
            if view is None:
                feed.add(ConversationPurged(conversation))
            elif view.header.owner == owner:
                row = listed(State(view.header, view.next_seq)) if view.snapshot is None else _row(view.snapshot)
                feed.add(ConversationChanged(row, events))

    @contextmanager
    def unsure(self, owner: str) -> Generator[None]:
        """Around what changes ``owner``'s list: when it fails or is cancelled it may have happened all the same."""
        try:
            yield
        except BaseException:
            self.lose(owner)
            self.on_unsure(owner)
            raise

    @contextmanager
    def looking(self, owner: str) -> Generator[None]:
        """Around what reads what has changed in ``owner``'s list: when it fails, that is not known here."""
        try:
            yield
        except BaseException:
            self.lose(owner)
            raise

    def watches(self, owner: str) -> bool:
        """Whether anyone wants to know."""
        return owner in self._feeds

    def lose(self, owner: str) -> None:
        """Something happened to ``owner``'s list that is not known here: its readers start over."""
        feed = self._feeds.get(owner)
        if feed is not None:
            feed.lose()

    def lose_all(self) -> None:
        """As ``lose``, for everybody."""
        for feed in list(self._feeds.values()):
            feed.lose()

    def statistics(self) -> dict[str, int]:
        """Feeds in memory, those among them that are watched, and their frames' bytes."""
        feeds = list(self._feeds.values())
        watched = sum(feed.watched for feed in feeds)
        return {"feeds": len(feeds), "watched": watched, "bytes": sum(feed.size for feed in feeds)}


def _row(state: bytes) -> Listed:
    return listed(decode_state(state))


def _frame(token: str, kind: str, data: bytes) -> bytes:
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (token.encode(), kind.encode(), data)
