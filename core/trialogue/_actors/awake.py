"""How many conversations of one user may be awake at a time: of those beyond, the one used longest ago goes to rest.

That costs its user two reads when it is wanted again, and nobody else anything. Only where all of them are at work is one
more refused; what a crash left unfinished goes on all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakSet

from trialogue._facts.errors import ThrottledError

if TYPE_CHECKING:
    from trialogue._actors.cell import Cell


class Awake:
    """The cells that were woken, by owner. ``rest`` drops one that may rest; whoever has it sets it."""

    def __init__(self, limit: int) -> None:
        self.rest: Callable[[Cell], None] = lambda _: None
        self._limit = limit
        # Weak: cells rest, crash and go for other reasons as well, and nobody need say so here.
        self._woken: dict[str, WeakSet[Cell]] = {}

    def __repr__(self) -> str:
        return f"<Awake owners={len(self._woken)} limit={self._limit}>"

    def woke(self, owner: str, cell: Cell, *, must: bool) -> None:
        """A cell has woken. Raises ``ThrottledError`` when it is one too many, unless it ``must`` be awake."""
        woken = self._woken.setdefault(owner, WeakSet())
        woken.add(cell)
        if len(woken) <= self._limit:
            return
        quiet = [other for other in woken if other is not cell and other.may_rest()]
        if quiet:
            coldest = min(quiet, key=lambda other: other.used_at)
            woken.discard(coldest)
            self.rest(coldest)
        elif not must:
            woken.discard(cell)
            detail = f"{self._limit} conversations of yours are at work (awake_per_user): wait for one of them"
            raise ThrottledError(detail, retry_after=5.0)

    def sweep(self) -> None:
        """Forget owners of whom nothing is awake."""
        for owner in [owner for owner, woken in self._woken.items() if not woken]:
            del self._woken[owner]
