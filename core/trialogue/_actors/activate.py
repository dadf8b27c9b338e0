"""Activation from the log: claim the conversation, fold what the snapshot does not hold, and find the live answer's text."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from trialogue._actors.activation import Activation
from trialogue._actors.node import Node
from trialogue._asking.provider import Request
from trialogue._deciding.answer import Answer, fold_answer
from trialogue._deciding.state import State, begin, decode_state, evolve
from trialogue._facts.errors import NotFoundError, StorageError
from trialogue._facts.events import ConversationCreated, Entry, Event, decode_event
from trialogue._runs.context import build_request
from trialogue._storage.one_history import one_history
from trialogue._storage.store import Claim, Store
from trialogue._watching.watch import Watch

#: Entries read at once.
PAGE = 500


async def activate(node: Node, conversation: str) -> Activation:
    """Own the conversation from here on. Raises ``NotFoundError``, ``ElsewhereError``, ``StorageError``."""
    with one_history(node.store):
        return await _activate(node, conversation)


async def _activate(node: Node, conversation: str) -> Activation:
    claim = await node.claim(conversation)
    if claim is None:
        raise NotFoundError(f"there is no conversation {conversation!r}")
    state = await fold_state(node.store, conversation, claim.snapshot, claim.next_seq)
    tail = node.tail(conversation, claim.next_seq)
    if tail.next_seq != claim.next_seq:
        tail.restart(claim.next_seq)
    activation = Activation(node.id, claim.epoch, claim.flush, state, tail, tail.generation, node.flusher.mark)
    activation.watch = Watch(node.observers, conversation)
    activation.answer = await _live_answer(node.store, state, claim)
    activation.request = await _live_request(node, state)
    return activation


async def fold_state(
    store: Store, conversation: str, snapshot: bytes | None, next_seq: int, known: Sequence[Entry] = ()
) -> State:
    """The state at ``next_seq``, from a snapshot and the entries after it, of which the first are perhaps ``known``."""
    state = decode_state(snapshot) if snapshot is not None else None
    for entry in known:
        event = decode_event(entry.data)
        if state is not None:
            state = evolve(state, event)
        elif isinstance(event, ConversationCreated):
            state = begin(event)
    async for event in read_events(store, conversation, state.next_seq if state else 0, next_seq):
        if state is not None:
            state = evolve(state, event)
        elif isinstance(event, ConversationCreated):
            state = begin(event)
    if state is None or state.next_seq != next_seq:
        raise StorageError(f"the log of conversation {conversation} has a hole before {next_seq}: restore a backup")
    return state


async def read_events(store: Store, conversation: str, start: int, end: int) -> AsyncIterator[Event]:
    """Events numbered ``start`` to ``end - 1``. Plain reads, so the generator holds nothing when it is left."""
    while start < end:
        entries = await store.events(conversation, start, min(PAGE, end - start))
        for entry in entries:
            yield decode_event(entry.data)
        if not entries:
            return
        start = entries[-1].seq + 1


async def _live_request(node: Node, state: State) -> Request | None:
    """What the live run, whose process is gone, will have asked its provider, so that it can be accounted for."""
    if state.run is None:
        return None
    await node.catalog.settle(state.run.model)
    budget = int(node.catalog.describe(state.run.model).context_tokens * node.limits.context_share)
    try:
        return (await build_request(node.store, state, state.run, state.run.model, budget)).request
    except NotFoundError:
        return None


async def _live_answer(store: Store, state: State, claim: Claim) -> Answer | None:
    if state.run is None:
        return None
    row = await store.message(state.run.message)
    if row is None:
        return None
    events = [e async for e in read_events(store, state.header.id, state.run.first_seq, claim.next_seq)]
    return fold_answer(row, events)
