"""Tool calls that wait for a person, over several nodes: any takes the answer, and the one that asked may be dead."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Literal

import pytest
import trio
import trio.testing
from clustering import Node, SharedProvider, open_nodes
from support import NOW, Talk, open_talk

from trialogue import (
    AnswerApproval,
    ApprovalAsked,
    ConflictError,
    Event,
    Limits,
    Receipt,
    ToolCallPiece,
    UnreachableError,
    event_type,
    tool,
)


class Waiting:
    """A conversation in which a call waits for a person; node ``a`` has asked."""

    def __init__(self, talk: Talk, nodes: Sequence[Node], call: str, made: list[str]) -> None:
        self.talk, self.nodes, self.call, self.made = talk, nodes, call, made

    async def answer(self, node: Node, decision: Literal["approve", "deny"] = "approve") -> Receipt:
        command = AnswerApproval(self.call, NOW, self.call, decision)
        with trio.fail_after(10):
            return await node.engine.submit(self.talk.id, command)

    async def ended(self, node: Node) -> list[str]:
        """The types of all events once the answer is over, as ``node`` sees it."""
        events = await Talk(node.engine, self.talk.id, self.talk.model).settled()
        return [event_type(event) for event in events]


@asynccontextmanager
async def waiting(seconds: float = 0.0, limits: Limits | None = None) -> AsyncGenerator[Waiting]:
    """The tool takes ``seconds``."""
    made: list[str] = []

    @tool(needs_approval=True)
    async def send(to: str) -> str:
        """Sends something."""
        made.append(to)
        await trio.sleep(seconds)
        return "sent"

    provider = SharedProvider([ToolCallPiece("send", '{"to": "ann"}')], ["Done."], tools=True)
    async with open_nodes("abc", [provider], limits=limits, tools=[send]) as (_, nodes):
        talk = await open_talk(nodes[0].engine)
        await talk.post("hi")
        events: list[Event] = await talk.until("approval.asked")
        await trio.testing.wait_all_tasks_blocked()
        (asked,) = [event for event in events if isinstance(event, ApprovalAsked)]
        yield Waiting(talk, nodes, asked.call, made)


ONCE = ["approval.given", "tool.called", "tool.returned"]


def of_calls(types: Sequence[str]) -> list[str]:
    return [one for one in types if one in ONCE]


async def test_any_node_takes_the_answer(autojump_clock: trio.testing.MockClock) -> None:
    async with waiting() as at:
        _, b, c = at.nodes
        first = await at.answer(b)
        assert await at.answer(c) == first
        with pytest.raises(ConflictError):
            await at.answer(c, "deny")
        types = await at.ended(c)
    assert (of_calls(types), types[-1], at.made) == (ONCE, "run.completed", ["ann"])


@pytest.mark.parametrize("seconds", [0, 3, 20], ids=["at once", "within the lease", "after the take-over"])
async def test_the_node_that_asked_may_be_dead(autojump_clock: trio.testing.MockClock, seconds: float) -> None:
    async with waiting() as at:
        a, b, _ = at.nodes
        await a.kill()
        await trio.sleep(seconds)
        await at.answer(b)
        types = await at.ended(b)
    assert (of_calls(types), types[-1], at.made) == (ONCE, "run.completed", ["ann"])
    assert "run.interrupted" not in types, "nothing was at work"


async def test_two_who_answer_at_once_have_it_made_once(autojump_clock: trio.testing.MockClock) -> None:
    async with waiting() as at:
        a, b, c = at.nodes
        await a.kill()
        receipts: list[Receipt] = []

        async def answer(node: Node) -> None:
            try:
                receipts.append(await at.answer(node))
            except UnreachableError:
                # The other one has taken the outcome of what both have left for whoever comes: it says to ask again.
                receipts.append(await at.answer(node))

        async with trio.open_nursery() as nursery:
            for node in (b, c, b):
                nursery.start_soon(answer, node)
        assert receipts == receipts[:1] * 3
        types = await at.ended(c)
    assert (of_calls(types), types[-1], at.made) == (ONCE, "run.completed", ["ann"])


async def test_two_who_disagree_are_told(autojump_clock: trio.testing.MockClock) -> None:
    async with waiting() as at:
        a, b, c = at.nodes
        await a.kill()
        told: list[Receipt | ConflictError] = []

        async def answer(node: Node, decision: Literal["approve", "deny"]) -> None:
            try:
                told.append(await at.answer(node, decision))
            except ConflictError as error:
                told.append(error)
            except UnreachableError:  # As above.
                await answer(node, decision)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer, b, "approve")
            nursery.start_soon(answer, c, "deny")
        assert sorted(isinstance(one, ConflictError) for one in told) == [False, True]
        types = await at.ended(b)
    assert types.count("approval.given") == types.count("tool.returned") == 1
    assert types.count("tool.called") == len(at.made)


async def test_call_that_died_with_the_node_that_took_the_answer_is_not_made_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with waiting(seconds=5) as at:
        a, b, c = at.nodes
        await a.kill()
        await at.answer(b)
        await trio.sleep(1)
        assert at.made == ["ann"]
        await b.kill()
        assert (await at.answer(c)).seq
        types = await at.ended(c)
    assert (of_calls(types), at.made) == (ONCE, ["ann"])


async def test_nobody_answers_and_another_node_denies_it(autojump_clock: trio.testing.MockClock) -> None:
    limits = Limits(approval=0.2)
    async with waiting(limits=limits) as at:
        a, b, _ = at.nodes
        await a.kill()
        types = await at.ended(b)
    assert ("tool.called" in types, types[-1], at.made) == (False, "run.completed", [])
