"""What can go wrong with a call on a ``MemoryStore``, and who decides it. The store asks before each call and obeys.

store.faults.next("append", Fault(fail="after"))     # the next append commits, and its caller is not told
store.faults.full = True                             # every write is refused until this is False again
store.faults = RandomFaults(random.Random(7), 0.05)  # one call in twenty, the same ones for the same seed
"""

from __future__ import annotations

import random
from collections import defaultdict, deque
from typing import Literal, TypeAlias

import msgspec

#: ``before``: refused, nothing happened. ``after``: it happened, the acknowledgement is lost. ``late``: the caller is
#: told that it failed, and it happens ``lag`` seconds later all the same, as a request that was stuck on its way does.
Failing: TypeAlias = Literal["before", "after", "late"]

_KINDS: tuple[Failing | None, ...] = (None, "before", "after", "late")


class Fault(msgspec.Struct, frozen=True):
    """One call's misfortune. Times are in seconds of the running clock, virtual or not."""

    fail: Failing | None = None
    #: Before it takes effect.
    delay: float = 0.0
    #: After it took effect and before the caller hears of it.
    lag: float = 0.0


class Faults:
    """Planned faults, call by call; without a plan nothing fails."""

    def __init__(self) -> None:
        #: Refuse every write as a full disk does.
        self.full = False
        self._planned: defaultdict[str, deque[Fault]] = defaultdict(deque)

    def __repr__(self) -> str:
        planned = {call: len(faults) for call, faults in self._planned.items() if faults}
        return f"<{type(self).__name__} full={self.full} planned={planned}>"

    def next(self, call: str, *faults: Fault) -> None:
        """Plan what happens to the coming calls of the method named ``call``, one fault each, in order."""
        self._planned[call].extend(faults)

    def choose(self, call: str) -> Fault | None:
        """What happens to this call; ``None`` when all goes well. Override to decide otherwise."""
        planned = self._planned.get(call)
        return planned.popleft() if planned else None


class RandomFaults(Faults):
    """Fails a share of all calls, in every way there is; planned faults come first."""

    def __init__(self, source: random.Random, share: float, longest: float = 2.0) -> None:
        super().__init__()
        self._source = source
        #: Of all calls, how many have a fault: 0 to 1.
        self.share = share
        #: Upper end of each delay, in seconds.
        self.longest = longest

    def choose(self, call: str) -> Fault | None:
        planned = super().choose(call)
        if planned is not None or self._source.random() >= self.share:
            return planned
        fail: Failing | None = self._source.choice(_KINDS)
        return Fault(fail, self._source.uniform(0, self.longest), self._source.uniform(0, self.longest))
