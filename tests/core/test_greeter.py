"""Nodes find out whether they can ask each other, and say so when it is worth a word."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import trio
import trio.testing

from trialogue import Load, Member, NodeInfo, Parcel, Receipt, Transport, UnreachableError
from trialogue._cluster.greeter import Greeter
from trialogue._supervision.child import ChildSpec
from trialogue._supervision.supervisor import open_supervisor


def node(name: str, address: str = "http://a.example") -> NodeInfo:
    return NodeInfo(name, name, address, "0", datetime(2026, 1, 1, tzinfo=UTC))


class Scripted(Transport):
    """Says of each node why it cannot be asked."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}

    async def deliver(self, node: NodeInfo, parcel: Parcel) -> Receipt:
        raise UnreachableError("not for that")

    async def greet(self, node: NodeInfo) -> str | None:
        await trio.lowlevel.checkpoint()
        return self.reasons.get(node.id)


async def test_what_cannot_be_asked_is_told_once_and_when_it_is_over(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    transport = Scripted()
    transport.reasons = {"one": "connection refused", "two": "its clock is wrong"}
    members = [Member(node("one"), Load(), 5.0), Member(node("two"), Load(), 5.0), Member(node("gone"), Load(), 0.0)]

    async def look() -> list[Member]:
        return members

    greeter = Greeter(node("one"), transport, look)
    async with open_supervisor("test", specs=[ChildSpec("greeter", greeter.run)]):
        await trio.sleep(1.2)
        assert not caplog.records, "nodes start together"
        del transport.reasons["one"]
        await trio.sleep(20)
        assert greeter.reached_itself
        assert greeter.unreachable == {"two": "its clock is wrong"}
        assert [record.getMessage() for record in caplog.records] == ["node 'two' cannot be asked: its clock is wrong"]
        transport.reasons.clear()
        await trio.sleep(20)
        assert caplog.records[-1].getMessage() == "node 'two' can be asked again"
        assert len(caplog.records) == 2


async def test_node_that_is_asked_by_way_of_the_store_is_told_as_such(autojump_clock: trio.testing.MockClock) -> None:
    async def look() -> list[Member]:
        return [Member(node("two", ""), Load(), 5.0)]

    greeter = Greeter(node("one"), Scripted(), look)
    async with open_supervisor("test", specs=[ChildSpec("greeter", greeter.run)]):
        await trio.sleep(1)
        assert "by way of the store" in greeter.unreachable["two"]
