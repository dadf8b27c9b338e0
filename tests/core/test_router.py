"""Commands that other nodes left for this one: each is carried out, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec
import trio
import trio.testing
from support import NOW

from trialogue import Receipt, Stop, decode_outcome
from trialogue._actors.child import Child, ChildSpec
from trialogue._cluster.nodes import Kept
from trialogue._cluster.router import Router
from trialogue._cluster.transport import Parcel


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

    async def here(parcel: Parcel) -> Receipt:
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
        nursery.cancel_scope.cancel()
