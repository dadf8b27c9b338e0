"""Several nodes over one store: commands reach the owner, readers read anywhere, and what a dead node left is taken up."""

from __future__ import annotations

import trio.testing
from clustering import open_nodes
from support import Talk, fold, open_talk

from trialogue.testing import Pause, ScriptedProvider


async def test_command_reaches_the_owner_from_any_node(autojump_clock: trio.testing.MockClock) -> None:
    provider = ScriptedProvider([Pause(1), "one"], ["two"])
    async with open_nodes("ab", [provider]) as (network, (a, b)):
        talk = await open_talk(a.engine)
        first = await talk.post("1")
        other = Talk(b.engine, talk.id, talk.model)
        second = await other.post("2")
        assert second.queued
        assert network.delivered == 1
        reader = fold(await other.settled())
        assert reader.text(first.answer or "") == "one"
        assert reader.text(second.answer or "") == "two"
        assert b.engine.activation(talk.id) is None
