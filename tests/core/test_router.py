"""Commands that other nodes left for this one: each is carried out, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec
import pytest
import trio
import trio.testing
from support import NOW

from trialogue import BudgetError, Receipt, Stop, StorageError, decode_outcome
from trialogue._cluster.nodes import Kept, Load, Member, NodeInfo
from trialogue._cluster.outcomes import encode_outcome
from trialogue._cluster.router import Router
from trialogue._cluster.transport import Parcel
from trialogue._facts.errors import ElsewhereError, FencedError, ThrottledError
from trialogue._supervision.child import Child, ChildSpec


class Left:
    """What was left, in place of a store's facet."""

    def __init__(self, *parcels: Parcel) -> None:
        self.waiting = {one.command.id: Kept(one.conversation, one.command.id, _encode(one)) for one in parcels}
        self.outcomes: dict[str, Receipt] = {}

    async def kept(self, node: str, limit: int) -> Sequence[Kept]:
        return list(self.waiting.values())[:limit]

    async def settle(self, conversation: str, command: str, outcome: bytes) -> None:
        del self.waiting[command]
        self.outcomes[command] = decode_outcome(outcome)


_encode = msgspec.json.Encoder().encode


async def test_command_that_takes_for_ever_holds_up_no_other(autojump_clock: trio.testing.MockClock) -> None:
    left = Left(*(Parcel(name, Stop(name, NOW)) for name in ("slow", "one")))
    begun: list[str] = []

    async def here(parcel: Parcel) -> Receipt:
        begun.append(parcel.conversation)
        if parcel.conversation == "slow":
            await trio.sleep_forever()
        return Receipt(7)

    unused = cast("Any", None)
    router = Router("node", cast("Any", left), None, unused, here, unused)
    async with trio.open_nursery() as nursery:
        await Child(ChildSpec("router", router.run), lambda child: None).start(nursery)
        await trio.sleep(1)
        late = Parcel("two", Stop("two", NOW))
        left.waiting["two"] = Kept("two", "two", _encode(late))
        await trio.sleep(30)
        assert left.outcomes == {"one": Receipt(7), "two": Receipt(7)}
        assert list(left.waiting) == ["slow"]
        assert sorted(begun) == ["one", "slow", "two"], "what takes long is not begun again"
        nursery.cancel_scope.cancel()


class SlowlyRead(Left):
    """Tells of what waited when it was asked, a second later."""

    async def kept(self, node: str, limit: int) -> Sequence[Kept]:
        found = await super().kept(node, limit)
        await trio.sleep(1)
        return found


async def test_command_is_not_begun_again_by_a_look_that_began_before_its_end(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A refusal leaves nothing behind that would tell a second attempt of it, which might go through."""
    left, begun = SlowlyRead(Parcel("one", Stop("one", NOW))), 0

    async def here(parcel: Parcel) -> Receipt:
        nonlocal begun
        begun += 1
        await trio.sleep(1.5)  # The next look begins before its end, and comes back after it.
        return Receipt(7)

    unused = cast("Any", None)
    router = Router("node", cast("Any", left), None, unused, here, unused)
    async with trio.open_nursery() as nursery:
        await Child(ChildSpec("router", router.run), lambda child: None).start(nursery)
        await trio.sleep(30)
        assert begun == 1
        nursery.cancel_scope.cancel()


class OneKept:
    """What was kept of one command, and what came of it, in place of a store's facet."""

    def __init__(self) -> None:
        self.outcomes: dict[str, bytes] = {}
        self.kept: list[str] = []

    async def keep(self, kept: Kept) -> None:
        self.kept.append(kept.command)

    async def outcome(self, conversation: str, command: str) -> bytes | None:
        return self.outcomes.get(command)

    async def drop(self, conversation: str, command: str) -> None:
        self.outcomes.pop(command, None)


async def test_refusal_of_before_the_last_attempt_is_not_told(autojump_clock: trio.testing.MockClock) -> None:
    """What was left for an owner is refused here, is tried once more, and goes through without anybody hearing of it."""
    nodes, command = OneKept(), Stop("one", NOW)
    tries: list[str] = []

    async def here(parcel: Parcel) -> Receipt:
        tries.append(parcel.command.id)
        if len(tries) == 1:
            raise ElsewhereError("it is owned by another", "other")
        if len(tries) == 2:
            nodes.outcomes[nodes.kept[0]] = encode_outcome(BudgetError("nothing is left"))
            raise StorageError("the acknowledgement was lost")
        return Receipt(7)

    async def members(anew: bool) -> Sequence[Member]:
        return [Member(NodeInfo("other", "other", "", "", NOW), Load(), 5.0)]

    router = Router("node", cast("Any", nodes), None, cast("Any", Silent()), here, members)
    assert await router.submit(Parcel("conversation", command)) == Receipt(7)
    assert tries == ["one"] * 3


async def test_full_mailbox_says_nothing_of_an_earlier_attempt(autojump_clock: trio.testing.MockClock) -> None:
    """What was fenced may have been committed all the same: that too many wait meanwhile is no refusal of it."""
    answers: list[Receipt | FencedError | ThrottledError] = [
        FencedError("it goes to another node"),
        ThrottledError("3 wait", retry_after=1),
        Receipt(7),
    ]

    async def here(parcel: Parcel) -> Receipt:
        answer = answers.pop(0)
        if isinstance(answer, Receipt):
            return answer
        raise answer

    unused = cast("Any", None)
    router = Router("node", cast("Any", OneKept()), None, unused, here, unused)
    assert await router.submit(Parcel("conversation", Stop("one", NOW))) == Receipt(7)


async def test_full_mailbox_is_told_at_once_to_who_has_not_tried_before() -> None:
    async def here(parcel: Parcel) -> Receipt:
        raise ThrottledError("3 wait", retry_after=1)

    unused = cast("Any", None)
    router = Router("node", cast("Any", OneKept()), None, unused, here, unused)
    with pytest.raises(ThrottledError):
        await router.submit(Parcel("conversation", Stop("one", NOW)))


class Silent:
    """In place of the news."""

    def say(self, item: object) -> None:
        pass
