"""A store that goes backwards under an engine: what it had awake is of a history that is no longer told (I12)."""

from __future__ import annotations

import pytest
import trio.testing
from support import NOW, open_talk

from trialogue import FencedError, Limits, PostMessage, TextPart, new_id, open_engine
from trialogue.testing import MemoryStore, ScriptedProvider


async def test_command_that_was_lost_is_not_decided_on_what_was_lost(autojump_clock: trio.testing.MockClock) -> None:
    """Else a message would be put under its own answer, which this process still remembers, and a request never ends."""
    store = MemoryStore()
    async with open_engine(store, [ScriptedProvider(["Hello"], ["Hello"])], Limits()) as engine:
        talk = await open_talk(engine)
        backup = store.backup()
        command = PostMessage(new_id(), NOW, new_id(), new_id(), new_id(), (TextPart("hi"),), "script:script")
        await engine.submit(talk.id, command)
        await talk.settled()
        store.restore(backup)
        with pytest.raises(FencedError):
            await engine.submit(talk.id, command)
        receipt = await engine.submit(talk.id, command)
        await talk.settled()
        found = await store.message(command.message)
        assert found is not None
        assert found.parent is None
        assert receipt.seq < store._rows[talk.id].next_seq
