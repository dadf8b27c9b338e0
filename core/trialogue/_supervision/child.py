"""A supervised child: what it is asked to do, and its present incarnation.

The child runs in a wrapper with a cancel scope of its own, so that it alone can be cancelled, and what it raises is kept
here for the supervisor: the nursery never sees it. Exception groups of one are unwrapped here and nowhere else.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVarTuple, Unpack, cast

import trio

Restart: TypeAlias = Literal["permanent", "transient", "temporary"]
State: TypeAlias = Literal["starting", "up", "waiting", "ended"]
#: A line of what is alive: depth, name, state, restarts.
Line: TypeAlias = tuple[int, str, str, int]

_Args = TypeVarTuple("_Args")
_log = logging.getLogger("trialogue.supervisor")


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to run and when to run it again.

    ``run`` gets the ``Child``, which is a Trio task status: it calls ``started()`` once it is ready. A ``permanent`` child
    is restarted whenever it ends, a ``transient`` one when it raises, a ``temporary`` one never. A ``soft`` child watches
    ``stopping`` and is given the grace of a stop before it is cancelled; any other is cancelled at once.
    """

    name: str
    run: Callable[[Child], Awaitable[object]]
    restart: Restart = "permanent"
    soft: bool = False


class Child:
    """A child and its present incarnation. Its supervisor alone changes it; others may read it."""

    def __init__(self, spec: ChildSpec, report: Callable[[Child], None]) -> None:
        self.spec = spec
        self.state: State = "ended"
        self.restarts = 0
        #: Restarts since it was last up for long; the wait before the next one grows with it.
        self.streak = 0
        self.began: float = -math.inf
        #: When it is to be started again; never, unless it is ``waiting``.
        self.due: float = math.inf
        #: What ended the last incarnation, if it did not simply return.
        self.error: Exception | None = None
        #: Set by a child that is itself a supervisor, so that what is below it can be shown.
        self.below: Callable[[], Sequence[Line]] | None = None
        # Called when an incarnation that was up has ended unasked.
        self._report = report
        self._renew()
        self.gone.set()

    def __repr__(self) -> str:
        return f"<Child {self.spec.name!r} {self.state} restarts={self.restarts}>"

    def _renew(self) -> None:
        self.scope: trio.CancelScope = trio.CancelScope()
        #: Set when a soft child is asked to take no new work and to end.
        self.stopping: trio.Event = trio.Event()
        #: Set when nothing of this incarnation is left.
        self.gone: trio.Event = trio.Event()
        #: Its end was asked for and is not to be reported.
        self.dismissed: bool = False
        self._announce: Callable[[bool], None] | None = None

    @property
    def ended_well(self) -> bool:
        """Whether its restart policy lets it rest."""
        match self.spec.restart:
            case "permanent":
                return False
            case "transient":
                return self.error is None
            case "temporary":
                return True

    def started(self, value: object = None) -> None:
        """The child is ready. What it is ready with is its own business."""
        del value
        assert self._announce is not None, "started() belongs to a running child, once"
        announce, self._announce = self._announce, None
        self.state = "up"
        announce(True)

    def cancel(self) -> None:
        """End this incarnation; the restart policy says whether another follows."""
        self.scope.cancel()

    async def start(self, nursery: trio.Nursery) -> bool:
        """Run a new incarnation in ``nursery``; returns when it is up, or ``False`` when it ended before that."""
        self._renew()
        self.due, self.error, self.state, self.below = math.inf, None, "starting", None
        self.began = trio.current_time()
        return bool(await nursery.start(self._live))

    async def _live(self, *, task_status: trio.TaskStatus[bool]) -> None:
        self._announce = task_status.started
        try:
            with self.scope:
                self.error = await contain(self.spec.run, self)
        finally:
            unheard, self._announce = self._announce, None
            self.state = "ended"
            self.gone.set()
        if unheard is not None:
            unheard(False)
        elif not self.dismissed:
            self._report(self)

    async def halt(self, deadline: float, patience: float) -> None:
        """Stop it for now: ask until ``deadline`` if it is soft, then cancel, and wait at most ``patience`` seconds."""
        self.dismissed = True
        self.due = math.inf
        self.stopping.set()
        if self.spec.soft:
            with trio.move_on_at(deadline):
                await self.gone.wait()
        self.scope.cancel()
        with trio.move_on_after(patience):
            await self.gone.wait()
            return
        _log.error("%s: cancelled, but has not ended within %g s; going on without it", self.spec.name, patience)


async def contain(run: Callable[[Unpack[_Args]], Awaitable[object]], *args: *_Args) -> Exception | None:
    """Run it and give back what it raised. Cancellation, and whatever is not an ``Exception``, passes through."""
    try:
        await run(*args)
    except trio.Cancelled:
        raise
    except Exception as error:
        single = unwrap(error)
        assert isinstance(single, Exception)
        return single
    except BaseExceptionGroup as group:
        # Cancelled while a clean-up failed: the cancellation goes on, bare of what would hide it.
        failed, rest = group.split(Exception)
        if failed is not None:
            _log.error("%s failed while it was being cancelled", run, exc_info=failed)
        assert rest is not None
        raise rest from None
    return None


def unwrap(error: BaseException) -> BaseException:
    """The one exception in a group of one; anything else as it is."""
    while isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        if len(group.exceptions) != 1:
            return group
        error = group.exceptions[0]
    return error
