"""An activation: one in-memory incarnation of a conversation, from a claim until it is passivated, fenced or crashes.

It holds the state, numbers and encodes what is appended, and keeps it until the flusher has it committed. Nothing leaves it
before that: the tail and the replies are served from ``committed`` only (I5). Whoever appends never waits for storage.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace
from trio.lowlevel import ParkingLot

from trialogue._actors.recent import Recent
from trialogue._actors.reply import Reply
from trialogue._actors.tail import Tail
from trialogue._asking.estimates import estimate_request
from trialogue._asking.provider import Request
from trialogue._deciding.answer import Answer
from trialogue._deciding.commands import Known, Receipt
from trialogue._deciding.state import State, encode_state, evolve
from trialogue._facts.cursor import frame
from trialogue._facts.errors import TrialogueError
from trialogue._facts.events import (
    Aside,
    ContextCompacted,
    ConversationUpdated,
    Entry,
    Event,
    InboxAdded,
    MessageAdded,
    MessageRemoved,
    MessageRevised,
    encode_event,
    event_type,
)
from trialogue._facts.run_events import (
    ApprovalAsked,
    ApprovalGiven,
    GenerationStarted,
    PartAdded,
    PartDelta,
    PartEnded,
    PartStarted,
    RunAttached,
    RunCancelled,
    RunCompleted,
    RunEnded,
    RunFailed,
    RunIncomplete,
    RunInterrupted,
    RunStarted,
    RunWaiting,
    ToolCalled,
    ToolReturned,
    UsageReported,
)
from trialogue._facts.values import Message
from trialogue._paying.charging import beside, opened, settled
from trialogue._paying.ledger import Charge
from trialogue._storage.store import Done, Flush
from trialogue._watching.watch import Watch


class Activation:
    """State and unflushed work of one conversation, owned by ``node`` at ``epoch``."""

    def __init__(
        self,
        node: str,
        epoch: int,
        flush: int,
        state: State,
        tail: Tail,
        generation: int,
        mark: Callable[[Activation], None],
    ) -> None:
        self.node = node
        self.epoch = epoch
        self.state: State = state
        self.tail = tail
        #: The answer being written; its base is the row as it was when the run began.
        self.answer: Answer | None = None
        # What was said last, committed or not.
        self._recent = Recent()
        # What the present command concerns, as the store has it.
        self._named: Mapping[str, Message] = {}
        #: What the live run has asked its provider; ``None`` while that is nothing.
        self.request: Request | None = None
        #: Who follows its runs, to tell others of them.
        self.watch: Watch | None = None
        #: Why it can no longer be used, once it cannot.
        self.gone: TrialogueError | None = None
        #: Told when it is gone.
        self.on_gone: Callable[[], None] = lambda: None
        self.pending_bytes: int = 0
        self._generation = generation
        self._mark = mark
        self._flush = flush
        self._clear()
        self._in_flight: Flush | None = None
        self._in_flight_bytes = 0
        self._in_flight_since = 0.0
        # Replies in the order of the flushes whose commit they wait for, by their numbers.
        self._replies: deque[tuple[int, Reply[Receipt], Receipt]] = deque()
        # Receipts not yet in the store, for commands repeated meanwhile.
        self.receipts: dict[str, Done] = {}
        # Who waits for a commit. Not an event, since every commit would have to make a new one for nobody.
        self._committed = ParkingLot()

    def __repr__(self) -> str:
        return f"<Activation {self.state.header.id} epoch={self.epoch} next={self.state.next_seq} gone={self.gone}>"

    def _clear(self) -> None:
        self._entries: list[Entry] = []
        self._rows: dict[str, Message] = {}
        self._removed: list[str] = []
        self._waiting: list[str] = []
        self._charges: dict[str, Charge] = {}
        self._done: list[Done] = []
        self._changed = False
        self._since = 0.0

    @property
    def id(self) -> str:
        """The conversation."""
        return self.state.header.id

    @property
    def settled(self) -> bool:
        """Whether everything appended is committed."""
        return self._in_flight is None and not self._pending

    @property
    def _pending(self) -> bool:
        # A command that changed nothing leaves a receipt all the same.
        return bool(self._entries or self._done)

    @property
    def asked(self) -> int:
        """How many tokens the live run has asked its provider with, by our own count."""
        return 0 if self.request is None else estimate_request(self.request)

    # --- appending -----------------------------------------------------------------------------------------------

    def append(self, events: Sequence[Event], done: Done | None = None) -> None:
        """Number, encode and fold ``events``, and leave them for the next flush, together with ``done``."""
        if not (events or done) or self.gone:
            return
        if not self._pending:
            self._since = time.perf_counter()
        for event in events:
            data = encode_event(event)
            state = self.state
            self._entries.append(Entry(state.next_seq, self.epoch, event_type(event), data))
            self.pending_bytes += len(data)
            self.state = evolve(state, event)
            self._project(event, state)
        if self.state.run is None:
            self.answer = None
        if done is not None:
            self._done.append(done)
            self.receipts[done.command] = done
        self._mark(self)

    def _project(self, event: Event, before: State) -> None:
        match event:
            case PartDelta() | PartEnded() | UsageReported() | RunAttached() | RunWaiting():
                if self.answer is not None:
                    self.answer.apply(event)
                return
            case GenerationStarted():
                self.request = None  # What the last one was asked is in the usage.
                self._saw(event)
                return
            case PartStarted() | PartAdded() | ToolReturned():
                if self.answer is not None:
                    self.answer.apply(event)
                self._saw(event)
                return
            case MessageAdded(message):
                self._put(message)
                if message.status == "in_progress":
                    self.answer = Answer(message)
            case MessageRevised(message):
                self._forget_summaries(event.stale)
                self._put(message)
            case InboxAdded(queued):
                self._waiting.append(queued.message.id)
            case ToolCalled() | ApprovalAsked():
                self._saw(event)
            case ApprovalGiven():
                if self.answer is not None:
                    self.answer.apply(event)
            case MessageRemoved(message):
                self._removed.append(message)
                self._recent.clear()
            case RunStarted() | RunCompleted() | RunIncomplete() | RunFailed() | RunCancelled() | RunInterrupted():
                if self.answer is not None:
                    self.answer.apply(event)
                    self._put(self.answer.message())
                self._charge(event, before)
                self._show(event, before)
            case ConversationUpdated(titled=Aside() as asked):
                self._charges[asked.run] = beside(self.state.header, asked, event.at, "title")
            case ContextCompacted(asked=asked):
                self._charges[asked.run] = beside(self.state.header, asked, event.at, "summary", event.message)
                self._summed_up(event)
            case _:
                pass
        self._changed = True

    def _put(self, message: Message) -> None:
        self._rows[message.id] = message
        # While an answer is written, nobody is shown what it said before; what it says in the end is put then.
        if message.status == "in_progress":
            self._recent.drop(message.id)
        else:
            self._recent.put(message)

    def _summed_up(self, event: ContextCompacted) -> None:
        message = self._named.get(event.message)
        if event.summary is not None and message is not None:
            self._forget_summaries(event.stale)
            self._put(replace(message, summary=event.summary))

    def _forget_summaries(self, stale: Sequence[str]) -> None:
        for message in stale:
            if message in self._named:
                self._put(replace(self._named[message], summary=None))

    def _charge(self, event: RunStarted | RunEnded, before: State) -> None:
        if isinstance(event, RunStarted):
            self.request = None
            assert self.state.run is not None
            self._charges[event.run] = opened(self.state.header, self.state.run)
        elif before.run is not None:
            self._charges[event.run] = settled(before.header, before.run, event, self.asked)

    def _show(self, event: RunStarted | RunEnded, before: State) -> None:
        if self.watch is None:
            return
        if isinstance(event, RunStarted):
            self.watch.started(event.run, event.model)
        elif before.run is not None:
            self.watch.ended(before.run, event)

    def _saw(self, event: Event) -> None:
        if self.watch is not None:
            self.watch.saw(event)

    def resume_from(self, known: Known) -> None:
        """Have the messages at hand that a command concerns, should it go on with one as an answer, or change it."""
        self._named = known.messages
        for message in known.messages.values():
            if message.role == "assistant" and self.state.run is None:
                self.answer = Answer(message)

    def reply_when_committed(self, reply: Reply[Receipt], receipt: Receipt) -> None:
        """Fill in ``reply`` as soon as everything appended so far is committed: at once, if it is."""
        if self.gone:
            reply.fail(self.gone.again())
        elif self.settled:
            reply.set(receipt)
        else:
            self._replies.append((self._flush + self._pending, reply, receipt))

    def path(self, message: str) -> list[Message]:
        """``message`` and what is above it, newest first, as far as it is at hand: at least what the store has not yet."""
        found: list[Message] = []
        wanted: str | None = message
        if self.answer is not None and self.answer.id == message:
            found.append(self.answer.message())  # More than its row says.
            wanted = found[0].parent
        while wanted is not None and (row := self._at_hand(wanted)) is not None:
            found.append(row)
            wanted = row.parent
        return found

    def learn(self, messages: Sequence[Message]) -> None:
        """Have what was read from the store at hand too. What is being written anew is not what was read."""
        self._recent.learn([message for message in messages if self._at_hand(message.id) is None])

    def _at_hand(self, message: str) -> Message | None:
        in_flight = self._in_flight.messages if self._in_flight is not None else ()
        return (
            self._rows.get(message)
            or next((row for row in in_flight if row.id == message), None)
            or self._recent.get(message)
        )

    async def wait_settled(self) -> None:
        """Wait until everything appended before the call is committed. Raises what ``gone`` says."""
        target = self.state.next_seq
        while self.gone is None and self.tail.next_seq < target:
            await self._committed.park()
        if self.gone:
            raise self.gone.again()

    async def wait_room(self, limit: int) -> None:
        """Wait until no more than ``limit`` bytes wait for the store."""
        while self.pending_bytes > limit and not self.gone:
            await self._committed.park()

    # --- for the flusher -----------------------------------------------------------------------------------------

    def take_flush(self) -> Flush | None:
        """Everything appended since the last one; ``None`` when there is nothing or one is in flight."""
        if not self._pending or self._in_flight is not None or self.gone:
            return None
        self._flush += 1
        self._in_flight_bytes = self.pending_bytes
        self._in_flight_since = self._since
        entries = tuple(self._entries)
        if self._changed or self._done:
            flush = self._flush_with_rows(entries)
            self._clear()
        else:
            # Only deltas, as nearly always: there are no rows to hand over, and none to clear.
            flush = Flush(self.id, self.node, self.epoch, self._flush, entries, generation=self._generation)
            self._entries.clear()
        self._in_flight = flush
        return flush

    def _flush_with_rows(self, entries: tuple[Entry, ...]) -> Flush:
        return Flush(
            conversation=self.id,
            node=self.node,
            epoch=self.epoch,
            number=self._flush,
            entries=entries,
            header=self.state.header if self._changed else None,
            snapshot=encode_state(self.state) if self._changed else None,
            unfinished=self.state.unfinished if self._changed else None,
            messages=tuple(self._rows.values()),
            removed=tuple(self._removed),
            waiting=tuple(self._waiting),
            done=tuple(self._done),
            charges=tuple(self._charges.values()),
            next_seq=None if entries else self.state.next_seq,
            generation=self._generation,
        )

    def committed(self) -> float:
        """The flush in flight is durable: show it, answer for it. Returns how long its first entry waited."""
        flush, self._in_flight = self._in_flight, None
        assert flush is not None
        self.pending_bytes -= self._in_flight_bytes
        for done in flush.done:
            self.receipts.pop(done.command, None)
        self.tail.publish([frame(self._generation, entry) for entry in flush.entries])
        while self._replies and self._replies[0][0] <= flush.number:
            _, reply, receipt = self._replies.popleft()
            reply.set(receipt)
        self._wake()
        if self._pending:
            self._mark(self)
        return time.perf_counter() - self._in_flight_since

    def refuse(self, error: TrialogueError) -> None:
        """The store cannot take the flush now: those who wait are told; the flush itself is tried again."""
        while self._replies:
            self._replies.popleft()[1].fail(error.again())

    def end(self, error: TrialogueError) -> None:
        """It can no longer be used; what was not committed was never shown, and is told to those who wait."""
        if self.gone is None:
            self.gone = error
            self.refuse(error)
            self._wake()
            self.on_gone()

    def _wake(self) -> None:
        if self._committed:
            self._committed.unpark_all()
