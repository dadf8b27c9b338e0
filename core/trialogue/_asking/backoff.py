"""How long to wait before a request is made again: what the other side asks for, or else a growing, jittered while. Pure."""

from __future__ import annotations

from random import Random

import msgspec

from trialogue._facts.errors import ProviderError

#: What may pass by itself, and of which the other side has done nothing: turned away for now, or never reached.
PASSING = ("throttled", "unavailable")


class Backoff(msgspec.Struct, frozen=True):
    """How often a request that was turned away is made again, and how long is waited before it. Times in seconds."""

    retries: int = 2
    #: The first wait is about this long, each one after it twice as long as the one before, and none longer than that.
    first: float = 0.5
    longest: float = 8.0
    #: The longest wait that the other side may ask for. Whoever asks for more is not asked again.
    asked: float = 20.0

    def pause(self, failed: int, error: ProviderError, random: Random) -> float | None:
        """Seconds to wait after ``failed`` attempts, of which ``error`` ended the last; ``None`` to give up."""
        if error.kind not in PASSING or failed > self.retries:
            return None
        jittered: float = min(self.first * 2 ** (failed - 1), self.longest) * random.uniform(0.5, 1.0)
        if error.retry_after is None:
            return jittered
        # A little later than asked: all who were told the same would come at the same moment.
        wanted = max(error.retry_after, 0.0)
        return wanted + jittered * 0.5 if wanted <= self.asked else None
