"""The engine: a node's conversations, as a server sees them. Opened once per process, over one store.

It supervises the services below it (pacer, flusher, shards, housekeeping, clearing), keeps the registry of cells, and hands
commands to mailboxes and tails to readers. Reads come from the store; only commands touch a cell.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from hashlib import sha256
from random import Random

import msgspec
import trio

from trialogue._accounts.clearing import Clearing
from trialogue._actors.activation import Activation
from trialogue._actors.cell import Cell, Letter
from trialogue._actors.child import Child, ChildSpec
from trialogue._actors.flusher import Flusher
from trialogue._actors.forking import fork
from trialogue._actors.housekeeping import Housekeeping
from trialogue._actors.limits import Limits
from trialogue._actors.node import Node, utc_now
from trialogue._actors.pacer import Pacer
from trialogue._actors.shards import Shards
from trialogue._actors.snapshot import Snapshot, Tree, frame_snapshot, take_snapshot, take_tree
from trialogue._actors.supervisor import Supervisor, open_supervisor
from trialogue._actors.tail import Tail
from trialogue._asking.catalog import Catalog
from trialogue._asking.health import Health
from trialogue._asking.provider import Provider
from trialogue._cluster.cluster import Cluster, Joining
from trialogue._cluster.nodes import Load
from trialogue._cluster.transport import Parcel
from trialogue._deciding.commands import (
    Command,
    ContinueAnswer,
    CreateConversation,
    EditMessage,
    ForkConversation,
    PostMessage,
    Receipt,
    Regenerate,
    schema_of,
)
from trialogue._deciding.decide import create
from trialogue._deciding.history import Beginning, prepare_far
from trialogue._facts.cursor import Cursor, parse_cursor
from trialogue._facts.errors import (
    ClosedError,
    ConfigurationError,
    ConflictError,
    ElsewhereError,
    FencedError,
    LimitError,
    NotFoundError,
    TrialogueError,
)
from trialogue._facts.events import Entry, encode_event, event_type
from trialogue._facts.ids import new_id
from trialogue._facts.values import Conversation, Model
from trialogue._files.library import Library
from trialogue._lists.feed import Feeds
from trialogue._paying.budgets import Budgets
from trialogue._paying.ledger import SpendingBudget
from trialogue._paying.prices import PriceList
from trialogue._runs.titling import Titles
from trialogue._runs.turning import Turns
from trialogue._runs.turns import TurnHook
from trialogue._storage.store import Done, History, Store
from trialogue._tools.toolbox import Toolbox
from trialogue._watching.meter import Meter
from trialogue._watching.observer import CommandReport, Observer, Observers

_encoder = msgspec.json.Encoder()


class Engine:
    """Conversations of one node. Made by ``open_engine``."""

    def __init__(self, node: Node, feeds: Feeds) -> None:
        self.store: Store = node.store
        #: Users' lists as they change; whatever changes one past this engine is to be told there.
        self.feeds: Feeds = feeds
        #: Removes what deleted accounts leave; other parts of the server add what they keep of an account.
        self.clearing: Clearing = Clearing(node, self.purge)
        self.clearing.also.append(node.store.ledger.forget)
        #: The other nodes over the same store, where there may be some.
        self.cluster: Cluster | None = None
        #: Set while stopping: nothing new is begun.
        self.draining: bool = False
        self._node = node
        # The registry: id -> the conversation's owner in this process.
        self._cells: dict[str, Cell] = {}
        self._supervisor: Supervisor | None = None
        self._meter = Meter()
        node.observers.add(self._meter)
        node.awake.rest = self._let_rest

    def __repr__(self) -> str:
        return f"<Engine {self._node.id} cells={len(self._cells)} draining={self.draining}>"

    # --- commands ------------------------------------------------------------------------------------------------

    async def create(self, command: CreateConversation) -> Receipt:
        """Begin a conversation; a repeat is answered as the first time.

        Raises ``ConflictError`` (the id was used for another), ``ClosedError`` (stopping), ``StorageError``.
        """
        self._open_for_work()
        await self._check_schema(command)
        event = create(command)
        entry = Entry(0, 1, event_type(event), encode_event(event))
        asked = (command.owner, command.title, command.model, command.system)
        return await self._create(event.conversation, entry, asked)

    async def fork(self, command: ForkConversation) -> Receipt:
        """Begin a conversation with a branch of another; a repeat is answered as the first time.

        Raises ``NotFoundError`` (conversation or message), ``InvalidError`` (where it is to be cut), ``LimitError`` (a
        longer branch than ``Limits.history``), ``ConflictError`` (in the trash, or the id was used for another),
        ``ClosedError`` (stopping), ``StorageError``.
        """
        asked = ("fork", command.owner, command.source, command.message, command.cut, command.title)
        done = await self.store.receipt(command.id, command.id)
        if done is not None:
            # The branch may have grown, or be gone, since the first time.
            return _same(command.id, done, _digest(asked))
        beginning = await fork(self.store, command, self._node.new_id, self._node.limits)
        return await self.begin(beginning, asked)

    async def begin(self, beginning: Beginning, asked: object) -> Receipt:
        """Begin a conversation with what was said before. A repeat is known by its id and by what was ``asked`` for.

        Raises ``InvalidError`` (no tree), ``LimitError`` (more messages than ``Limits.history``), ``ConflictError`` (the
        id was used for another conversation, or a message's id for another message), ``ClosedError``, ``StorageError``.
        """
        self._open_for_work()
        most = self._node.limits.history
        if len(beginning.messages) > most:
            raise LimitError(f"a conversation may begin with {most} messages at most (history_messages)")
        made = await prepare_far(beginning)
        return await self._create(made.header, made.entry, asked, made.history)

    async def _create(
        self, header: Conversation, entry: Entry, asked: object, history: History | None = None
    ) -> Receipt:
        digest = _digest(asked)
        done = Done(header.id, digest, Receipt(header.version))
        with self.feeds.unsure(header.owner):
            # Where there are several nodes, nobody's: the one that is asked first claims it.
            node = self._node.id if self.cluster is None else ""
            first = await self.store.create(header, node, entry, done, history)
        await self.feeds.advanced(header.owner, header.id, (entry.type,))
        if self.cluster is not None:
            self.cluster.advanced(header.owner, header.id, (entry.type,))
        return _same(header.id, first, digest)

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
        began = trio.current_time()
        try:
            receipt = await self._routed(Parcel(conversation, command, fresh))
        except TrialogueError as error:
            self._tell(conversation, command, began, error.code)
            raise
        self._tell(conversation, command, began)
        return receipt

    async def _routed(self, parcel: Parcel) -> Receipt:
        if self.cluster is None:
            return await self._submit(parcel.conversation, parcel.command, parcel.fresh)
        return await self.cluster.router.submit(msgspec.structs.replace(parcel, command=self._priced(parcel.command)))

    async def submit_here(self, parcel: Parcel) -> Receipt:
        """Carry out a command if this node owns its conversation, or may. Raises as ``submit``, and ``ElsewhereError``."""
        if self.draining and not self._runs(parcel.conversation):
            raise ElsewhereError("this node is stopping and takes nothing new", "")
        try:
            return await self._submit(parcel.conversation, parcel.command, parcel.fresh)
        except ElsewhereError:
            # Nothing of it is awake here: what was made for the asking goes.
            cell = self._cells.get(parcel.conversation)
            if cell is not None and cell.activation is None and cell.may_rest():
                del self._cells[parcel.conversation]
            raise

    def _runs(self, conversation: str) -> bool:
        cell = self._cells.get(conversation)
        return cell is not None and cell.phase == "running"

    async def _submit(self, conversation: str, command: Command, fresh: bool) -> Receipt:
        if self.cluster is None:
            self._open_for_work()
        if self._node.held and isinstance(command, EditMessage | Regenerate | ContinueAnswer):
            raise ClosedError("the server is being replaced: try again in a moment", retry_after=2)
        if self._node.flusher.failing is not None:
            raise self._node.flusher.failing
        await self._check_schema(command)
        letter = Letter(self._priced(command), fresh, self._node.observers.cause())
        self._cell(conversation).post(letter)
        receipt = await letter.reply.wait()
        if letter.ended is not None and letter.ended.id == receipt.run:
            await letter.ended.ended.wait()
        return receipt

    def _tell(self, conversation: str, command: Command, began: float, error: str | None = None) -> None:
        observers, kind = self._node.observers, type(command).__name__
        seconds, cause = trio.current_time() - began, observers.cause()
        observers.command_ended(CommandReport(kind, conversation, time.time_ns(), seconds, error, cause))

    async def header(self, conversation: str) -> Conversation | None:
        """A conversation as committed, without messages: of an awake one from memory, else from the store.

        What another process changed since it took the conversation over may be missing. Raises ``StorageError``.
        """
        cell = self._cells.get(conversation)
        activation = cell.activation if cell is not None else None
        if activation is not None and activation.gone is None and activation.settled:
            return activation.state.header
        return await self.store.header(conversation)

    async def settled_header(self, conversation: str) -> Conversation | None:
        """As ``header``, when all that has happened in it here is committed. Raises what ``submit`` raises."""
        cell = self._cells.get(conversation)
        activation = cell.activation if cell is not None else None
        if activation is not None and activation.gone is None:
            await activation.wait_settled()
        return await self.header(conversation)

    async def _check_schema(self, command: Command | CreateConversation) -> None:
        schema = schema_of(command)
        if schema is not None:
            await self._node.fitting.check(schema)

    def _priced(self, command: Command) -> Command:
        """The command with the prices in force now, if it may start a run of a model whose prices are known."""
        match command:
            case PostMessage() | EditMessage() | Regenerate() | ContinueAnswer():
                prices = command.terms.prices or self._node.catalog.describe(command.model).prices
                terms = msgspec.structs.replace(command.terms, prices=prices)
                return command if prices is None else msgspec.structs.replace(command, terms=terms)
            case _:
                return command

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
        cell = self._cells.pop(conversation, None)
        if cell is not None:
            await cell.close(NotFoundError("the conversation was removed for good"))

    def _tell_purged(self, owner: str, conversation: str) -> None:
        self.feeds.purged(owner, conversation)
        if self.cluster is not None:
            self.cluster.purged(owner, conversation)

    def _open_for_work(self) -> None:
        if self.draining:
            raise ClosedError("the server is stopping: try again in a moment", retry_after=2)

    def _cell(self, conversation: str) -> Cell:
        cell = self._cells.get(conversation)
        if cell is None:
            cell = self._cells[conversation] = Cell(self._node, conversation)
        return cell

    def wake(self, conversation: str) -> None:
        """Activate a conversation, so that what is unfinished in it goes on."""
        if not self.draining:
            self._cell(conversation).post(Letter(None))

    # --- reading -------------------------------------------------------------------------------------------------

    async def snapshot(self, conversation: str, limit: int = 50) -> Snapshot:
        """The conversation as committed now, with its last ``limit`` messages. Raises ``NotFoundError``."""
        return await take_snapshot(self.store, conversation, limit)

    async def all_branches(self, conversation: str, limit: int = 100, cursor: str | None = None) -> Tree:
        """The conversation as committed now, with a page of all its messages. Raises ``NotFoundError``, ``InvalidError``."""
        return await take_tree(self.store, conversation, limit, cursor)

    async def watch(self, conversation: str) -> Tail:
        """The shared tail of a conversation: hold on to it while you read. Raises ``NotFoundError``."""
        tail = self._node.tails.get(conversation)
        if tail is None:
            position = await self.store.position(conversation)
            if position is None:
                raise NotFoundError(f"there is no conversation {conversation!r}")
            tail = self._node.tail(conversation, position[1])
        if self.cluster is not None:
            self.cluster.follower.look(conversation)
        return tail

    async def resume(self, conversation: str, cursor: str | None, limit: int = 50) -> tuple[bytes, int]:
        """The first bytes of an event stream, and the number of the event that comes next.

        Without a cursor a ``snapshot`` event; with one that can be continued, nothing; else ``reset`` and a snapshot.
        Raises ``InvalidError`` (not a cursor), ``NotFoundError``, ``StorageError``.
        """
        reason = None
        if cursor is not None:
            parsed = parse_cursor(cursor)
            reason = await self._why_not(conversation, parsed)
            if reason is None:
                return b"", parsed.seq + 1
        snapshot = await self.snapshot(conversation, limit)
        reset = b"" if reason is None else b'event: reset\ndata: {"type":"reset","reason":"%b"}\n\n' % reason.encode()
        return reset + frame_snapshot(snapshot), snapshot.seq + 1

    async def cursor_before(self, conversation: str, seq: int) -> str:
        """The cursor from which a stream begins with the committed event ``seq``. Raises ``StorageError``."""
        tail = self._node.tails.get(conversation)
        cursor = tail.cursor(seq - 1) if tail is not None else None
        if cursor is not None:
            return cursor
        # The event before may have been pruned; the cursor is then too old, and its reader is told to start over.
        entries = await self.store.events(conversation, seq - 1, 1)
        return str(Cursor(self.store.generation, entries[0].epoch, seq - 1))

    async def _why_not(self, conversation: str, cursor: Cursor) -> str | None:
        """Why reading cannot go on at a cursor; ``None`` when it can."""
        position = await self.store.position(conversation)
        if position is None:
            raise NotFoundError(f"there is no conversation {conversation!r}")
        floor, next_seq = position
        if cursor.generation != self.store.generation:
            return "the storage was replaced since"
        if cursor.seq + 1 < floor:
            return "the events after it were folded into messages since"
        entries = await self.store.events(conversation, cursor.seq, 1)
        if cursor.seq >= next_seq or not entries or entries[0].seq != cursor.seq or entries[0].epoch != cursor.epoch:
            return "it is not of this log"
        return None

    # --- models --------------------------------------------------------------------------------------------------

    async def models(self) -> Sequence[Model]:
        """The models of all providers; one that fails to list them is left out."""
        return await self._node.catalog.models()

    def health(self, model: str) -> Health:
        """How a model does, by its full id, as far as this node has asked it."""
        return self._node.asking.health(model)

    def resolve(self, model: str | None) -> str:
        """The full ``provider:model`` id, the default for ``None``. Raises ``InvalidError`` when nobody serves it."""
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
            await self._quiet(grace)
        else:
            await self._hand_over(self.cluster, grace)

    async def _hand_over(self, cluster: Cluster, grace: float) -> None:
        """Let other nodes have each conversation as soon as nothing goes on in it here, and in the end the rest."""
        cluster.lease.hurry()
        self._node.held = True  # What waits is answered by whoever is next.
        cells = tuple(self._cells.values())
        await self._let_go(cluster, [cell for cell in cells if cell.phase != "running"], grace)
        async with trio.open_nursery() as nursery:
            for cell in cells:
                if cell.phase == "running":
                    nursery.start_soon(self._let_go, cluster, [cell], grace)
        await self._let_go(cluster, list(self._cells.values()), 0)

    async def _let_go(self, cluster: Cluster, cells: Sequence[Cell], grace: float) -> None:
        with trio.move_on_after(grace):
            for cell in cells:
                await cell.quiet()
        held: dict[str, int] = {}
        for cell in cells:
            self._cells.pop(cell.id, None)
            activation = cell.activation
            await cell.close(FencedError(f"conversation {cell.id} goes to another node: send it again"))
            if activation is not None:
                held[cell.id] = activation.epoch
        await cluster.let_go(held)

    async def calm(self, patience: float) -> bool:
        """Wait, with everything going on as ever, for a moment at which no run is live; whether one came in time."""
        with trio.move_on_after(patience):
            while busy := [cell for cell in self._cells.values() if cell.phase == "running"]:
                await busy[0].quiet()
            return True
        return False

    async def hold(self, grace: float) -> None:
        """Begin no more runs, and wait as ``drain`` does. What is said meanwhile is accepted, and answered by whichever
        process has the store next; what else would begin a run is refused.
        """
        self._node.held = True
        await self._quiet(grace)

    async def _quiet(self, grace: float) -> None:
        with trio.move_on_after(grace):
            for cell in tuple(self._cells.values()):
                await cell.quiet()

    def rest(self, idle: float) -> int:
        """Drop the cells that have had nothing to do for ``idle`` seconds; returns how many."""
        self.feeds.sweep()
        for cell in tuple(self._cells.values()):
            cell.expire()
        horizon = trio.current_time() - idle
        quiet = [cell for cell in self._cells.values() if cell.used_at <= horizon and cell.may_rest()]
        for cell in quiet:
            self._let_rest(cell)
        return len(quiet)

    def _let_rest(self, cell: Cell) -> None:
        if cell.faulted or self._cells.get(cell.id) is not cell:
            return
        del self._cells[cell.id]
        if self.cluster is not None and cell.activation is not None and cell.activation.gone is None:
            self.cluster.sweeper.rested(cell.id, cell.activation.epoch)

    # --- for the cluster -----------------------------------------------------------------------------------------

    def activation(self, conversation: str) -> Activation | None:
        """The conversation's activation, if it is awake here."""
        cell = self._cells.get(conversation)
        return None if cell is None else cell.activation

    def load(self) -> Load:
        """What there is to do here."""
        return Load(self.draining, len(self._cells), self._node.runs)

    async def start_over(self) -> None:
        """The store has gone backwards: what is awake ends, and whoever reads has to begin again."""
        for cell in tuple(self._cells.values()):
            self._cells.pop(cell.id, None)
            await cell.close(FencedError("the storage was replaced: look again at what there is, and send it again"))
        for name, tail in tuple(self._node.tails.items()):
            position = await self.store.position(name)
            tail.restart(tail.next_seq if position is None else position[1])
        self.feeds.lose_all()

    def crashed(self, key: str, error: Exception) -> None:
        """A task of conversation ``key`` raised."""
        cell = self._cells.get(key)
        if cell is not None:
            cell.crashed(error)

    def statistics(self) -> dict[str, object]:
        """Figures of everything that queues."""
        node = self._node
        phases: dict[str, int] = {}
        for cell in self._cells.values():
            phases[cell.phase] = phases.get(cell.phase, 0) + 1
        return {
            "cells": phases,
            "mailboxes": sum(cell.waiting for cell in self._cells.values()),
            "inboxes": sum(cell.queued for cell in self._cells.values()),
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
        return () if self._supervisor is None else tuple(self._supervisor.children.values())

    def tree(self) -> str:
        """What is alive: services, busy shards, and the cells that are not idle, a line each."""
        lines = self._supervisor.tree() if self._supervisor else []
        rows = [f"{'  ' * depth}{name} [{state}] restarts={restarts}" for depth, name, state, restarts in lines]
        return "\n".join([*rows, *(f"  {cell!r}" for cell in self._cells.values() if cell.phase != "idle")])


def _digest(asked: object) -> bytes:
    return sha256(_encoder.encode(asked)).digest()


def _same(conversation: str, first: Done, digest: bytes) -> Receipt:
    if first.digest != digest:
        raise ConflictError(f"the id {conversation!r} was used for another conversation: choose a new one")
    return first.receipt


@asynccontextmanager
async def open_engine(
    store: Store,
    providers: Sequence[Provider],
    limits: Limits = Limits(),  # noqa: B008 - frozen
    *,
    default_model: str | None = None,
    prices: PriceList | None = None,
    budget: SpendingBudget = SpendingBudget(),  # noqa: B008 - frozen
    node: str | None = None,
    now: Callable[[], datetime] = utc_now,
    ids: Callable[[], str] = new_id,
    library: Library | None = None,
    observers: Sequence[Observer] = (),
    joining: Joining | None = None,
    random: Random | None = None,
    toolbox: Toolbox | None = None,
    turns: Sequence[TurnHook] = (),
) -> AsyncGenerator[Engine]:
    """Start the services, take up what an earlier process left unfinished, and stop in order when the block ends.

    ``joining`` makes the node one of several over the store. ``library`` has the files that messages name. ``observers``
    are told of what has ended. ``node`` must be new for each incarnation. ``now``, ``ids`` and ``random`` are for
    simulations. ``toolbox`` has what models may call. Leaving the block does not wait for live runs: call ``drain`` first.
    """
    engine: Engine
    feeds = Feeds(store)
    looking_on = Observers(observers)
    flusher = Flusher(store, limits.last_flush, feeds.committed, looking_on)
    shards = Shards(lambda key, error: engine.crashed(key, error))
    catalog = Catalog(providers, default_model, prices)
    budgets = Budgets(store, now, budget)
    pacer = Pacer(limits.window)
    parts = Node(
        node or ids(),
        store,
        catalog,
        budgets,
        limits,
        flusher,
        pacer,
        shards,
        now,
        ids,
        library,
        random=random or Random(),
        toolbox=toolbox or Toolbox(),
    )
    parts.observers = looking_on
    parts.turns = Turns(turns)
    engine = Engine(parts, feeds)
    if library is not None:
        engine.clearing.also.append(library.remove_all)
        library.observe(feeds.file_changed)
    if joining is not None:
        engine.cluster = _join(engine, parts, joining)
    titles = Titles(parts, engine.settled_header, engine.submit)
    if limits.titles:
        looking_on.add(titles)
    housekeeping = Housekeeping(parts, engine.wake, engine.rest, engine.purge_trash)
    specs = [
        ChildSpec("flusher", flusher.run),
        ChildSpec("pacer", parts.pacer.run),
        # Before the runs that use it, so that it ends after them.
        *([ChildSpec("tools", parts.toolbox.serve)] if parts.toolbox.has_sources else []),
        ChildSpec("shards", shards.run),
        *([ChildSpec("titles", titles.run)] if limits.titles else []),
        ChildSpec("housekeeping", housekeeping.run),
        ChildSpec("clearing", engine.clearing.run),
        *(() if engine.cluster is None else engine.cluster.specs()),
    ]
    try:
        async with open_supervisor("engine", "rest_for_one", specs=specs) as engine._supervisor:
            yield engine
    finally:
        engine.draining = True
        if engine.cluster is not None:
            await engine.cluster.leave()
        await parts.toolbox.aclose()
        await catalog.aclose()


def _join(engine: Engine, node: Node, joining: Joining) -> Cluster:
    nodes = node.store.nodes
    if nodes is None:
        raise ConfigurationError("this store belongs to one process and has no place for other nodes")
    cluster = Cluster(node, nodes, joining, engine, engine.feeds)
    node.claiming = cluster.claim
    node.flusher.on_committed = cluster.committed
    engine.feeds.on_unsure = cluster.unsure
    if node.library is not None:
        node.library.observe(cluster.file_changed)
    return cluster
