"""What a command has to know before it can be decided: read from the store once all that was appended is committed there."""

from __future__ import annotations

from collections.abc import Sequence

from trialogue._actors.activation import Activation
from trialogue._actors.node import Node
from trialogue._deciding.changing import leaves, oldest_summaries
from trialogue._deciding.commands import Command, CompactContext, EditMessage, Known, RemoveMessage, needs, terms_of
from trialogue._deciding.state import State
from trialogue._storage.store import Store


async def look_up(node: Node, activation: Activation, command: Command, given: Sequence[str]) -> Known:
    """What ``command`` has to know. ``given`` are the ids it brings, which no other message may have.

    Raises ``BudgetError`` where its owner cannot afford it, ``StorageError``, and what the activation is gone for.
    """
    while given or needs(command):
        # What was appended but not committed cannot be read back yet; and what was read while the run came to its
        # end, and perhaps the next one began, is of two times: it is read again.
        version = activation.state.header.version
        await activation.wait_settled()
        known = await _read(node.store, activation.state, command, given)
        await _afford(node, activation, command, known)
        if activation.state.header.version == version:
            return known
    await _afford(node, activation, command, Known())
    return Known()


async def _afford(node: Node, activation: Activation, command: Command, known: Known) -> None:
    terms = terms_of(command, known)
    if terms is not None:
        await node.budgets.check(activation.state.header.owner, terms)


async def _read(store: Store, state: State, command: Command, given: Sequence[str]) -> Known:
    found = [await store.message(message) for message in needs(command)]
    taken = [message for message in given if await store.taken(message)]
    below: Sequence[str] = ()
    if isinstance(command, RemoveMessage):
        below = await _below(store, state, command.target, leaves(state))
    elif isinstance(command, EditMessage) and any(one is not None and one.role == "assistant" for one in found):
        below = await _below(store, state, command.target, state.summaries)
        found += [await store.message(message) for message in below]
    elif isinstance(command, CompactContext):
        found += [await store.message(message) for message in oldest_summaries(state)]
    messages = {message.id: message for message in found if message is not None}
    return Known(messages, frozenset(below), taken=frozenset(taken))


async def _below(store: Store, state: State, message: str, those: Sequence[str]) -> Sequence[str]:
    return [one for one in those if await store.is_above(state.header.id, message, one)]
