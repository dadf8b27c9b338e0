"""The engine: a node's conversations, as a server sees them.

A front: what is done behind it is the business of its neighbours, and of the rooms below. Reads come from the store; only
commands touch a cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from trialogue._accounts.clearing import Clearing
from trialogue._actors.activation import Activation
from trialogue._actors.letter import Letter
from trialogue._actors.node import Node
from trialogue._actors.retention import Retention
from trialogue._actors.snapshot import Snapshot, Tree, take_snapshot, take_tree
from trialogue._actors.tail import Tail
from trialogue._asking.health import Health
from trialogue._cluster.cluster import Cluster
from trialogue._cluster.nodes import Load
from trialogue._cluster.transport import Parcel
from trialogue._deciding.commands import Command, CreateConversation, ForkConversation, Receipt
from trialogue._deciding.history import Beginning
from trialogue._engine.beginnings import Beginnings
from trialogue._engine.commands import Commands
from trialogue._engine.leaving import calm, hand_over, quiet
from trialogue._engine.registry import Registry
from trialogue._engine.resuming import cursor_before, resume
from trialogue._facts.errors import FencedError, NotFoundError
from trialogue._facts.values import Conversation, Model
from trialogue._files.library import Library
from trialogue._lists.feed import Feeds
from trialogue._paying.budgets import Budgets
from trialogue._storage.one_history import one_history
from trialogue._storage.store import Store
from trialogue._supervision.child import Child
from trialogue._supervision.supervisor import Supervisor
from trialogue._tools.toolbox import Toolbox
from trialogue._watching.meter import Meter


class Engine:
    """Conversations of one node. Made by ``open_engine``."""

    def __init__(self, node: Node, feeds: Feeds) -> None:
        self.store: Store = node.store
        #: Users' lists as they change; whatever changes one past this engine is to be told there.
        self.feeds: Feeds = feeds
        #: What goes when its time is over; an operator may have it done at once.
        self.retention: Retention = Retention(node.store, node.limits, node.now, self.purge_trash)
        #: Removes what deleted accounts leave; other parts of the server add what they keep of an account.
        self.clearing: Clearing = Clearing(node, self.purge, self.retention)
        self.clearing.also.append(node.store.ledger.forget)
        #: The other nodes over the same store, where there may be some.
        self.cluster: Cluster | None = None
        #: Its services, while it is open.
        self.services: Supervisor | None = None
        self._node = node
        self._cells = Registry(node)
        self._beginnings = Beginnings(node, feeds)
        self._commands = Commands(node, self._cells)
        self._meter = Meter()
        node.observers.add(self._meter)
        node.awake.rest = self._cells.let_rest
        node.shards.on_crash = self._cells.crashed

    def __repr__(self) -> str:
        return f"<Engine {self._node.id} cells={len(self._cells)} draining={self.draining}>"

    @property
    def draining(self) -> bool:
        """Set while stopping: nothing new is begun."""
        return self._node.draining

    @draining.setter
    def draining(self, stopping: bool) -> None:
        self._node.draining = stopping

    # --- commands ------------------------------------------------------------------------------------------------

    async def create(self, command: CreateConversation) -> Receipt:
        """Begin a conversation; a repeat is answered as the first time.

        Raises ``ConflictError`` (the id was used for another), ``ClosedError`` (stopping), ``StorageError``.
        """
        return await self._beginnings.create(command)

    async def fork(self, command: ForkConversation) -> Receipt:
        """Begin a conversation with a branch of another; a repeat is answered as the first time.

        Raises ``NotFoundError`` (conversation or message), ``InvalidError`` (where it is to be cut), ``LimitError`` (a
        longer branch than ``Limits.history``), ``ConflictError`` (in the trash, or the id was used for another),
        ``ClosedError`` (stopping), ``StorageError``.
        """
        return await self._beginnings.fork(command)

    async def begin(self, beginning: Beginning, asked: object) -> Receipt:
        """Begin a conversation with what was said before. A repeat is known by its id and by what was ``asked`` for.

        Raises ``InvalidError`` (no tree), ``LimitError`` (more messages than ``Limits.history``), ``ConflictError`` (the
        id was used for another conversation, or a message's id for another message), ``ClosedError``, ``StorageError``.
        """
        return await self._beginnings.begin(beginning, asked)

    async def submit(self, conversation: str, command: Command, *, fresh: bool = False) -> Receipt:
        """Have ``command`` take effect, once; returns when it is committed, and for a ``Stop`` when the run is gone.

        ``fresh`` says that the command's ids were made just now, by no client: it can be no repeat of another, and the
        store is not asked whether it is. A caller that is cancelled does not take the command back.

        Raises ``NotFoundError`` (conversation or message),
        ``InvalidError``, ``ConflictError`` (version, state, or an id used otherwise), ``ThrottledError`` (mailbox full),
        ``BudgetError`` (it would start an answer that nobody can pay for),
        ``ClosedError`` (stopping), ``FaultedError`` (parked), ``FencedError`` (a newer owner), ``StorageError`` and
        ``BrokenError`` (on our side: repeating it with the same id is safe, and tells whether it took effect).
        """
        return await self._commands.submit(Parcel(conversation, command, fresh))

    async def submit_here(self, parcel: Parcel) -> Receipt:
        """Carry out a command if this node owns its conversation, or may. Raises as ``submit``, and ``ElsewhereError``."""
        return await self._commands.submit_here(parcel)

    def wake(self, conversation: str) -> None:
        """Activate a conversation, so that what is unfinished in it goes on."""
        if not self.draining:
            self._cells.cell(conversation).post(Letter(None))

    # --- removing ------------------------------------------------------------------------------------------------

    async def purge_trash(self, conversation: str, before: datetime) -> None:
        """Remove a conversation for good that has been in the trash since ``before``; one that has not is left alone."""
        header = await self.store.header(conversation)
        if header is None:
            return
        with self.feeds.unsure(header.owner):
            gone = await self.store.purge(conversation, before)
        if gone:
            await self.purge(conversation)
            self._tell_purged(header.owner, conversation)

    async def purge(self, conversation: str) -> None:
        """Remove a conversation for good, whatever goes on in it. Raises ``StorageError``; one that is gone is no error."""
        await self.removed(conversation)
        header = await self.store.header(conversation)
        if header is None:
            return
        with self.feeds.unsure(header.owner):
            await self.store.purge(conversation)
        self._tell_purged(header.owner, conversation)

    async def removed(self, conversation: str) -> None:
        """A conversation is to go for good, or is gone: whatever goes on in it ends."""
        cell = self._cells.get(conversation)
        if cell is not None:
            await self._cells.end(cell, NotFoundError("the conversation was removed for good"))

    def _tell_purged(self, owner: str, conversation: str) -> None:
        self.feeds.purged(owner, conversation)
        if self.cluster is not None:
            self.cluster.purged(owner, conversation)

    # --- reading -------------------------------------------------------------------------------------------------

    async def header(self, conversation: str) -> Conversation | None:
        """A conversation as committed, without messages: of an awake one from memory, else from the store.

        What another process changed since it took the conversation over may be missing. Raises ``StorageError``.
        """
        activation = self.activation(conversation)
        if activation is not None and activation.gone is None and activation.settled:
            return activation.state.header
        return await self.store.header(conversation)

    async def settled_header(self, conversation: str) -> Conversation | None:
        """As ``header``, when all that has happened in it here is committed. Raises what ``submit`` raises."""
        activation = self.activation(conversation)
        if activation is not None and activation.gone is None:
            await activation.wait_settled()
        return await self.header(conversation)

    async def snapshot(self, conversation: str, limit: int = 50) -> Snapshot:
        """The conversation as committed now, with its last ``limit`` messages. Raises ``NotFoundError``."""
        return await take_snapshot(self.store, conversation, limit)

    async def all_branches(self, conversation: str, limit: int = 100, cursor: str | None = None) -> Tree:
        """The conversation as committed now, with a page of all its messages. Raises ``NotFoundError``, ``InvalidError``."""
        return await take_tree(self.store, conversation, limit, cursor)

    async def watch(self, conversation: str) -> Tail:
        """The shared tail of a conversation: hold on to it while you read. Raises ``NotFoundError``."""
        tail = self._node.tails.get(conversation)
        if tail is None or tail.is_past:
            with one_history(self.store):
                position = await self.store.position(conversation)
            if position is None:
                raise NotFoundError(f"there is no conversation {conversation!r}")
            tail = self._node.tail(conversation, position[1])
        if self.cluster is not None:
            self.cluster.follower.look(conversation)
        return tail

    async def follow(self, conversation: str, cursor: str | None, limit: int = 50) -> tuple[Tail, bytes, int]:
        """A tail, and where to begin to read it: what ``watch`` and ``resume`` give, of one history. Raises as they do."""
        with one_history(self.store):
            # The tail first: what is committed between the two calls is then in the one or the other.
            tail = await self.watch(conversation)
            return tail, *await self.resume(conversation, cursor, limit)

    async def resume(self, conversation: str, cursor: str | None, limit: int = 50) -> tuple[bytes, int]:
        """The first bytes of an event stream, and the number of the event that comes next.

        Without a cursor a ``snapshot`` event; with one that can be continued, nothing; else ``reset`` and a snapshot.
        Raises ``InvalidError`` (not a cursor), ``NotFoundError``, ``StorageError``.
        """
        return await resume(self.store, conversation, cursor, limit)

    async def cursor_before(self, conversation: str, seq: int) -> str:
        """The cursor from which a stream begins with the committed event ``seq``.

        Raises ``NotFoundError`` (removed meanwhile), ``StorageError``.
        """
        return await cursor_before(self._node, conversation, seq)

    # --- models --------------------------------------------------------------------------------------------------

    async def models(self) -> Sequence[Model]:
        """The models of all providers; one that fails to list them is left out."""
        return await self._node.catalog.models()

    def health(self, model: str) -> Health:
        """How a model does, by its full id, as far as this node has asked it."""
        return self._node.asking.health(model)

    async def resolve(self, model: str | None) -> str:
        """The full ``provider:model`` id, the default for ``None``. Raises ``InvalidError`` when nobody serves it.

        Soon after the start it waits until the providers have said what they offer.
        """
        await self._node.catalog.settle(model)
        return self._node.catalog.resolve(model)

    def can(self, model: str, capability: str) -> bool:
        """Whether a model, by its full id, is known to have a capability."""
        return capability in self._node.catalog.describe(model).capabilities

    @property
    def toolbox(self) -> Toolbox:
        """What models may call."""
        return self._node.toolbox

    @property
    def budgets(self) -> Budgets:
        """What users and keys may spend."""
        return self._node.budgets

    @property
    def library(self) -> Library | None:
        """The files that messages may name, where any are kept."""
        return self._node.library

    @property
    def default_model(self) -> str | None:
        """The id that ``None`` stands for."""
        return self._node.catalog.default

    # --- its life ------------------------------------------------------------------------------------------------

    async def drain(self, grace: float) -> None:
        """Take no new work, and wait up to ``grace`` seconds until the live runs have ended and all is committed.

        What is still running then stays unfinished in the log and is gone on with after the next start.
        """
        self.draining = True
        if self.cluster is None:
            await quiet(self._cells, grace)
        else:
            await hand_over(self._node, self._cells, self.cluster, grace)

    async def calm(self, patience: float) -> bool:
        """Wait, with everything going on as ever, for a moment at which no run is live; whether one came in time."""
        return await calm(self._cells, patience)

    async def hold(self, grace: float) -> None:
        """Begin no more runs, and wait as ``drain`` does. What is said meanwhile is accepted, and answered by whichever
        process has the store next; what else would begin a run is refused.
        """
        self._node.held = True
        await quiet(self._cells, grace)

    def rest(self, idle: float) -> int:
        """Drop what has had nothing to do for ``idle`` seconds; returns how many cells that were."""
        self.feeds.sweep()
        for cell in self._cells:
            cell.expire()
        return self._cells.rest(idle)

    # --- for the cluster -----------------------------------------------------------------------------------------

    def join(self, cluster: Cluster) -> None:
        """Be one of several nodes, from the beginning on."""
        self.cluster = cluster
        self._commands.router = cluster.router
        self._beginnings.told = cluster.advanced
        self._cells.rested = cluster.sweeper.rested
        self.feeds.on_unsure = cluster.unsure

    def activation(self, conversation: str) -> Activation | None:
        """The conversation's activation, if it is awake here."""
        return self._cells.activation(conversation)

    def load(self) -> Load:
        """What there is to do here."""
        return Load(self.draining, len(self._cells), self._node.runs)

    async def start_over(self) -> None:
        """The store has gone backwards: what is awake from before ends, and whoever reads has to begin again."""
        for cell in self._cells:
            # One that is just being activated is left alone: it begins anew by itself when it read of what is past.
            activation = cell.activation
            if activation is not None and activation.gone is None and activation.tail.is_past:
                error = FencedError("the storage was replaced: look again at what there is, and send it again")
                await self._cells.end(cell, error)
        self.feeds.lose_all()

    # --- for whoever looks ---------------------------------------------------------------------------------------

    def statistics(self) -> dict[str, object]:
        """Figures of everything that queues."""
        node = self._node
        return {
            **self._cells.statistics(),
            "services": {child.spec.name: child.restarts for child in self._children()},
            **msgspec.to_builtins(self._meter.statistics()),
            "tails": len(node.tails),
            "feeds": self.feeds.statistics(),
            "flusher": msgspec.to_builtins(node.flusher.statistics()),
            "store": msgspec.to_builtins(node.store.statistics()),
            "providers": msgspec.to_builtins(node.asking.statistics()),
            "pacer": node.pacer.statistics()._asdict(),
            "shards": node.shards.statistics()._asdict(),
            **({} if self.cluster is None else {"cluster": self.cluster.statistics()}),
        }

    def _children(self) -> Sequence[Child]:
        return () if self.services is None else tuple(self.services.children.values())

    def tree(self) -> str:
        """What is alive: services, busy shards, and the cells that are not idle, a line each."""
        lines = self.services.tree() if self.services else []
        rows = [f"{'  ' * depth}{name} [{state}] restarts={restarts}" for depth, name, state, restarts in lines]
        return "\n".join([*rows, *(f"  {cell!r}" for cell in self._cells if cell.phase != "idle")])
