"""What the parts of one running node share: its name, its store, its bounds, its clock, its helpers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from trialogue._actors.awake import Awake
from trialogue._actors.flusher import Flusher
from trialogue._actors.limits import Limits
from trialogue._actors.pacer import Pacer
from trialogue._actors.tail import Tail
from trialogue._asking.asking import Asking
from trialogue._asking.catalog import Catalog
from trialogue._facts.clock import utc_now
from trialogue._facts.errors import ClosedError
from trialogue._facts.ids import new_id
from trialogue._paying.budgets import Budgets
from trialogue._runs.fitting import Fitting
from trialogue._runs.turning import Turns
from trialogue._storage.store import Claim, Store
from trialogue._supervision.shards import Shards
from trialogue._tools.toolbox import Toolbox
from trialogue._watching.observer import Observers

if TYPE_CHECKING:
    from trialogue._files.library import Library


@dataclass(slots=True)
class Node:
    """One server process, as its conversations see it."""

    #: Incarnation id: new at every start, so that an owner that died is never mistaken for a living one.
    id: str
    store: Store
    catalog: Catalog
    budgets: Budgets
    limits: Limits
    flusher: Flusher
    pacer: Pacer
    shards: Shards
    now: Callable[[], datetime] = utc_now
    new_id: Callable[[], str] = new_id
    #: The files that messages may name; ``None`` where none are kept.
    library: Library | None = None
    #: No run may begin any more: another process is about to go on, and what is said waits for that one.
    held: bool = False
    #: Nothing new is begun: the process is about to stop.
    draining: bool = False
    #: For waits that are not to be the same everywhere.
    random: Random = field(default_factory=Random)
    #: Asks the providers.
    asking: Asking = field(init=False)
    #: Checks answers that are to be JSON of a schema.
    fitting: Fitting = field(init=False)
    #: What models may call.
    toolbox: Toolbox = field(default_factory=Toolbox)
    #: Who takes part in turns.
    turns: Turns = field(default_factory=Turns)
    #: Who is told of runs that ended.
    observers: Observers = field(default_factory=Observers)
    #: How many conversations each user has awake.
    awake: Awake = field(init=False)
    #: Runs that are live.
    runs: int = 0
    #: How a conversation is claimed where that takes more than the store: by one node of several.
    claiming: Callable[[str], Awaitable[Claim | None]] | None = None
    #: Tails that somebody holds: an activation or a subscriber. Nobody else keeps one alive.
    tails: WeakValueDictionary[str, Tail] = field(default_factory=lambda: WeakValueDictionary[str, Tail]())

    def __post_init__(self) -> None:
        self.awake = Awake(self.limits.awake)
        self.fitting = Fitting(self.limits.answer_schema_bytes, self.limits.answer_schema_seconds)
        self.asking = Asking(self.limits.asking, self.limits.stall, self.now, self.random)

    def must_take_work(self) -> None:
        """Raises ``ClosedError`` while the process is about to stop."""
        if self.draining:
            raise ClosedError("the server is stopping: try again in a moment", retry_after=2)

    async def claim(self, conversation: str) -> Claim | None:
        """Own a conversation from here on. Raises ``ElsewhereError`` (another node does, and is alive), ``StorageError``."""
        if self.claiming is not None:
            return await self.claiming(conversation)
        return await self.store.claim(conversation, self.id)

    def tail(self, conversation: str, next_seq: int) -> Tail:
        """The one tail of a conversation, made at ``next_seq`` when nobody holds it, or the store went backwards since."""
        tail = self.tails.get(conversation)
        if tail is None or tail.is_past:
            tail = self.tails[conversation] = Tail(self.store, conversation, next_seq)
        return tail
