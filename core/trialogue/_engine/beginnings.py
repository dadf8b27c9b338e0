"""Beginning conversations: empty, with a branch of another one, or with what was said elsewhere. Each begins once."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import msgspec

from trialogue._actors.forking import fork
from trialogue._actors.node import Node
from trialogue._deciding.commands import CreateConversation, ForkConversation, Receipt
from trialogue._deciding.decide import create
from trialogue._deciding.history import Beginning, prepare_far
from trialogue._facts.errors import ConflictError, LimitError
from trialogue._facts.events import Entry, encode_event, event_type
from trialogue._facts.values import Conversation
from trialogue._lists.feed import Feeds
from trialogue._storage.store import Done, History

_encoder = msgspec.json.Encoder()


class Beginnings:
    """Those of one node. The conversations' ids are their commands', by which a repeat is known."""

    def __init__(self, node: Node, feeds: Feeds) -> None:
        self._node = node
        self._feeds = feeds
        #: Told of each: its owner, its id, and the types of its events.
        self.told: Callable[[str, str, tuple[str, ...]], None] = lambda owner, conversation, events: None

    async def create(self, command: CreateConversation) -> Receipt:
        """See ``Engine.create``."""
        self._node.must_take_work()
        await self._node.fitting.check_command(command)
        event = create(command)
        entry = Entry(0, 1, event_type(event), encode_event(event))
        asked = (command.owner, command.title, command.model, command.system)
        return await self._begin(event.conversation, entry, asked)

    async def fork(self, command: ForkConversation) -> Receipt:
        """See ``Engine.fork``."""
        asked = ("fork", command.owner, command.source, command.message, command.cut, command.title)
        done = await self._node.store.receipt(command.id, command.id)
        if done is not None:
            # The branch may have grown, or be gone, since the first time.
            return _same(command.id, done, _digest(asked))
        beginning = await fork(self._node.store, command, self._node.new_id, self._node.limits)
        return await self.begin(beginning, asked)

    async def begin(self, beginning: Beginning, asked: object) -> Receipt:
        """See ``Engine.begin``."""
        self._node.must_take_work()
        most = self._node.limits.history
        if len(beginning.messages) > most:
            raise LimitError(f"a conversation may begin with {most} messages at most (history_messages)")
        made = await prepare_far(beginning)
        return await self._begin(made.header, made.entry, asked, made.history)

    async def _begin(
        self, header: Conversation, entry: Entry, asked: object, history: History | None = None
    ) -> Receipt:
        digest = _digest(asked)
        done = Done(header.id, digest, Receipt(header.version))
        with self._feeds.unsure(header.owner):
            # Where there are several nodes, nobody's: the one that is asked first claims it.
            owner = self._node.id if self._node.claiming is None else ""
            first = await self._node.store.create(header, owner, entry, done, history)
        await self._feeds.advanced(header.owner, header.id, (entry.type,))
        self.told(header.owner, header.id, (entry.type,))
        return _same(header.id, first, digest)


def _digest(asked: object) -> bytes:
    return sha256(_encoder.encode(asked)).digest()


def _same(conversation: str, first: Done, digest: bytes) -> Receipt:
    if first.digest != digest:
        raise ConflictError(f"the id {conversation!r} was used for another conversation: choose a new one")
    return first.receipt
