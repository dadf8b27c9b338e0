"""Takes one conversation of an upload in: whole, under ids that are its owner's, or what it has grown by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple, TypeVar

import trio

from trialogue import Beginning, ConflictError, Engine
from trialogue_server._exchange.files_in import file_id
from trialogue_server._exchange.growth import grow
from trialogue_server._exchange.ours import files_in, renamed, with_files

T = TypeVar("T")

#: Messages that are gone through in the loop.
FEW = 20


class Taken(NamedTuple):
    """Whether a conversation was added, and how many messages were."""

    added: bool
    messages: int


async def take(engine: Engine, beginning: Beginning, ours: bool, other: Mapping[str, str]) -> Taken:
    """Take a conversation in: it is added, or what it has grown by since. ``other`` has files by their ids here.

    Raises what ``Engine.begin`` and ``Engine.submit`` raise.
    """
    header = beginning.header
    if not ours:
        return await _grown(engine, beginning) or await _add(engine, beginning)
    beginning = await _without_others_files(engine, beginning, other)
    again = await _far(beginning, partial(renamed, beginning, header.owner))
    taken = await _grown(engine, again) or await _grown(engine, beginning)
    if taken is not None:
        return taken
    if await engine.store.header(header.id) is not None:
        return await _add(engine, again)  # The id is somebody else's.
    try:
        return await _add(engine, beginning)
    except ConflictError:  # A message's id is taken.
        return await _add(engine, again)


async def _grown(engine: Engine, beginning: Beginning) -> Taken | None:
    """``None`` when the owner has no such conversation."""
    found = await engine.store.header(beginning.header.id)
    if found is None or found.owner != beginning.header.owner:
        return None
    return Taken(False, await grow(engine, found, beginning))


async def _without_others_files(engine: Engine, beginning: Beginning, other: Mapping[str, str]) -> Beginning:
    """With files by the ids they have here. A document may name anybody's file: somebody else's becomes nobody's."""
    owner, here = beginning.header.owner, dict(other)
    for name in await _far(beginning, partial(files_in, beginning)):
        found = await engine.store.files.file(here.get(name, name))
        if found is not None and found.owner != owner:
            here[name] = file_id(owner, name)
    return await _far(beginning, partial(with_files, beginning, here)) if here else beginning


async def _add(engine: Engine, beginning: Beginning) -> Taken:
    await engine.begin(beginning, ("import", beginning.header.owner, beginning.header.id))
    return Taken(True, len(beginning.messages))


async def _far(beginning: Beginning, work: Callable[[], T]) -> T:
    """Do what goes through all messages: in a thread, when they are many."""
    return work() if len(beginning.messages) <= FEW else await trio.to_thread.run_sync(work)
