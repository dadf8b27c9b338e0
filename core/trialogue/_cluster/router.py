"""The router: brings a command to the node that owns its conversation, wherever it came in.

The conversation is claimed here unless a living node owns it; then that node is asked, and its receipt is the answer. When
it cannot be reached, the command is left in the store, where its owner finds it, or whoever takes over, and what became of
it is noted there. All of these may happen to the same command, which takes effect once: it has an id, and its receipt is
written with what it did (I10).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Protocol

import msgspec
import trio

from trialogue._cluster.news import Asked, News
from trialogue._cluster.nodes import Kept, Member, Nodes
from trialogue._cluster.outcomes import decode_outcome, encode_outcome, is_refusal
from trialogue._cluster.placement import takers
from trialogue._cluster.transport import Parcel, Transport, UnreachableError
from trialogue._deciding.commands import Receipt
from trialogue._facts.errors import (
    ClosedError,
    ElsewhereError,
    FencedError,
    StorageError,
    ThrottledError,
    TrialogueError,
)
from trialogue._supervision.child import Child

#: Seconds for which an owner is looked for: a lease, the time to notice that it is over, and a second.
PATIENCE = 8.0
#: Seconds between two looks, the first and the longest.
FIRST, LONGEST = 0.02, 0.25
#: Seconds between two looks at what was left for us, without a word of it.
EVERY = 1.0
#: Commands taken up at a time.
SOME = 50

_log = logging.getLogger("trialogue.cluster")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Parcel).decode


class Here(Protocol):
    """How a command is carried out by this node: see ``Engine.submit_here``."""

    def __call__(self, parcel: Parcel) -> Awaitable[Receipt]: ...


class Router:
    """Where this node's commands go. ``members`` tells which nodes there are, as far as known."""

    def __init__(
        self,
        node: str,
        nodes: Nodes,
        transport: Transport | None,
        news: News,
        here: Here,
        members: Callable[[bool], Awaitable[Sequence[Member]]],
    ) -> None:
        self._node = node
        self._nodes = nodes
        self._transport = transport
        self._news = news
        self._here = here
        self._members = members
        #: Commands carried out here, by other nodes, and left in the store.
        self.local: int = 0
        self.remote: int = 0
        self.left: int = 0
        self._asked = trio.Event()
        #: What was left for this node and is being carried out, by conversation and command.
        self._carrying: set[tuple[str, str]] = set()
        #: What has been carried out since the last look began, which may tell of it as if it still waited.
        self._carried: set[tuple[str, str]] = set()

    def __repr__(self) -> str:
        return f"<Router local={self.local} remote={self.remote} left={self.left}>"

    async def submit(self, parcel: Parcel) -> Receipt:
        """Have the command take effect. Raises as ``Engine.submit`` does; ``UnreachableError`` says what became of it."""
        give_up, pause = trio.current_time() + PATIENCE, FIRST
        is_chosen, kept, tried, told = not parcel.fresh, False, False, ""
        while True:
            why: TrialogueError
            try:
                receipt = await self._attempt(parcel, kept, told)
            except FencedError as error:
                why = error
                told = error.node if isinstance(error, ElsewhereError) else ""
                tried = tried or not isinstance(error, ElsewhereError)
            except TrialogueError as error:
                # What is kept may be under way, and may go through though this did not: its outcome counts. And where too
                # many wait nobody has looked whether an earlier attempt went through.
                if not kept and not (tried and isinstance(error, ThrottledError)):
                    raise
                why = error
            else:
                if kept:
                    await self._nodes.drop(parcel.conversation, _key(parcel))
                return receipt
            # It may have happened for all we know.
            parcel = msgspec.structs.replace(parcel, fresh=False)
            if isinstance(why, UnreachableError) and not kept:
                await self._keep(parcel)
                kept = True
            if kept and (outcome := await self._outcome(parcel)) is not None:
                if not (is_refusal(outcome) and isinstance(why, StorageError | ClosedError)):
                    return decode_outcome(outcome)
                kept = False  # Refused before what was tried last, which may have gone through: that is tried again.
            if trio.current_time() >= give_up:
                raise await self._sorry(parcel, kept=kept and is_chosen) from why
            await trio.sleep(pause)
            pause = min(2 * pause, LONGEST)

    async def _attempt(self, parcel: Parcel, kept: bool, told: str) -> Receipt:
        """Have it done here or by its owner; when this node asks nobody itself any more, by the one it was ``told`` of."""
        try:
            receipt = await self._here(parcel)
        except ElsewhereError as error:
            elsewhere = error
        else:
            self.local += 1
            return receipt
        owner = await self._find(elsewhere.node or told, parcel.conversation)
        if owner is None and told and not elsewhere.node:
            owner = await self._find("", parcel.conversation)
        if owner is None and not elsewhere.node:
            raise ClosedError("the server is stopping: try again in a moment", retry_after=2)
        if owner is None:
            raise elsewhere  # Its owner is just gone, or just there: look again.
        if kept:  # It finds what is kept; being asked once more, it might do what it has just refused.
            raise UnreachableError(f"conversation {parcel.conversation!r} is owned by a node that did not answer")
        if self._transport is None or not owner.node.address:
            raise UnreachableError(f"conversation {parcel.conversation!r} is owned by a node that cannot be asked")
        try:
            receipt = await self._transport.deliver(owner.node, parcel)
        except ClosedError as error:
            # It is stopping, and lets go of the conversation in a moment: who has it then is another question.
            raise ElsewhereError(str(error), "") from error
        self.remote += 1
        return receipt

    async def _find(self, node: str, conversation: str) -> Member | None:
        """The node with this id; for '' another one that takes new work."""
        for anew in (False, True):
            others = [member for member in await self._members(anew) if member.node.id != self._node]
            able = [member for member in others if member.node.id == node] if node else takers(others, conversation)
            if able:
                return able[0]
        return None

    # --- commands that are left in the store ---------------------------------------------------------------------

    async def _keep(self, parcel: Parcel) -> None:
        self.left += 1
        before = await self._nodes.outcome(parcel.conversation, _key(parcel))
        if before is not None and is_refusal(before):
            # Of an earlier time: it may have taken effect since, or may do so now.
            await self._nodes.drop(parcel.conversation, _key(parcel))
        await self._nodes.keep(Kept(parcel.conversation, _key(parcel), _encode(parcel)))
        self._news.say(Asked())

    async def _outcome(self, parcel: Parcel) -> bytes | None:
        """What became of a command that was kept, which it is no longer then; ``None`` while it waits."""
        found = await self._nodes.outcome(parcel.conversation, _key(parcel))
        if found is not None:
            await self._nodes.drop(parcel.conversation, _key(parcel))
        return found

    async def _sorry(self, parcel: Parcel, *, kept: bool) -> UnreachableError:
        what = f"the server that has conversation {parcel.conversation!r} does not answer"
        if kept:
            return UnreachableError(
                f"{what}; what you sent is kept and takes effect once, also if you send it again with the same id",
                retry_after=2,
            )
        # Whoever sent it without an id of his own will send another.
        await self._nodes.drop(parcel.conversation, _key(parcel))
        return UnreachableError(f"{what}: look whether it took effect, and send it again if not", retry_after=2)

    def hurry(self) -> None:
        """Something may have been left for us."""
        self._asked.set()

    async def run(self, child: Child) -> None:
        """Carry out what is left for us, until cancelled."""
        async with trio.open_nursery() as nursery:
            child.started()
            while True:
                self._asked = trio.Event()
                try:
                    await self._take_up(nursery)
                except StorageError as error:
                    _log.warning("what other nodes left is looked for later: %s", error)
                with trio.move_on_after(EVERY):
                    await self._asked.wait()

    async def _take_up(self, nursery: trio.Nursery) -> None:
        """Begin what is new; what others have left does not wait for it, and it is not begun again while it takes."""
        self._carried.clear()
        for one in await self._nodes.kept(self._node, SOME):
            name = (one.conversation, one.command)
            if name not in self._carrying | self._carried:
                self._carrying.add(name)
                nursery.start_soon(self._carry_out, one)

    async def _carry_out(self, kept: Kept) -> None:
        try:
            outcome = await self._become(kept)
            if outcome is not None:
                await self._note(kept, outcome)
        finally:
            self._carrying.discard((kept.conversation, kept.command))
            self._carried.add((kept.conversation, kept.command))

    async def _become(self, kept: Kept) -> bytes | None:
        """What a command that was kept came to; ``None`` when it is to wait longer."""
        try:
            return encode_outcome(await self._here(_decode(kept.body)))
        except msgspec.DecodeError:
            return encode_outcome(ClosedError("another version of the server left this: send it again"))
        except (FencedError, ClosedError, StorageError, ThrottledError) as error:
            _log.info("a command that was kept waits longer: %s", error)
            return None
        except TrialogueError as error:
            return encode_outcome(error)

    async def _note(self, kept: Kept, outcome: bytes) -> None:
        try:
            await self._nodes.settle(kept.conversation, kept.command, outcome)
        except StorageError as error:
            _log.warning("a command that was kept is carried out, which could not be noted: %s", error)


def _key(parcel: Parcel) -> str:
    """What a command is kept under. Two may have one id and say different things, as two answers to one question do: each
    is carried out, and the second one refused.
    """
    return f"{parcel.command.id}.{sha256(_encode(parcel.command)).hexdigest()[:16]}"
