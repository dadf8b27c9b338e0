"""One run: ask the provider, write what comes into the log, and end in exactly one terminal event.

A run is a task of its own in a shard, with a scope of its own, so that it alone can be stopped. It never waits for storage
except when too much waits there already. Whoever ends it from outside (a stop, an edit) has already written its terminal
event: from then on the run is not the live one, and whatever it still holds is dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TypeAlias, cast

import trio
from msgspec.structs import replace

from trialogue._activation import Activation
from trialogue._attaching import Attaching
from trialogue._context import CODE_POINTS_PER_TOKEN, build_request, estimate_request
from trialogue._errors import ProviderError, TrialogueError
from trialogue._events import Event, RunIncomplete
from trialogue._node import Node
from trialogue._provider import (
    CitationPiece,
    FinishPiece,
    Piece,
    ReasoningPiece,
    Request,
    ResponseStream,
    TextPiece,
    ToolCallPiece,
    UsagePiece,
)
from trialogue._running import close, fail, finish, write
from trialogue._saying import advance
from trialogue._state import LiveRun
from trialogue._values import Failure, FinishReason

#: How a run came to its end: the model's reason, one of our limits, or what failed.
Outcome: TypeAlias = FinishReason | RunIncomplete | Failure

_RETRYABLE = ("throttled", "unavailable", "stalled", "broken")
_log = logging.getLogger("trialogue.run")


class Run:
    """The task behind a ``LiveRun``. ``ended`` is set when nothing of it is left, the provider's socket included."""

    def __init__(self, node: Node, activation: Activation, live: LiveRun) -> None:
        self.id = live.run
        self.scope = trio.CancelScope()
        self.ended = trio.Event()
        self._node = node
        self._activation = activation
        self._message = live.message
        self._model = live.model
        self._characters = 0
        #: The upstream has taken the request.
        self._opened = False
        #: Tokens of an answer that the payer's budgets afford; ``None`` when no budget is concerned.
        self._afforded: int | None = None

    def __repr__(self) -> str:
        return f"<Run {self.id} {self._model} characters={self._characters} ended={self.ended.is_set()}>"

    @property
    def live(self) -> LiveRun | None:
        """The run as the log has it; ``None`` once it is over there."""
        run = self._activation.state.run
        return run if run is not None and run.run == self.id and not self._activation.gone else None

    def writes(self, activation: Activation | None, live: LiveRun | None) -> bool:
        """Whether it is the task behind ``live``. One of an earlier activation is not, though it may have the same id: what
        waits has its run's id already, and may have been taken in a flush that was then fenced off.
        """
        return live is not None and live.run == self.id and activation is self._activation

    async def execute(self) -> None:
        """Write the answer. Never raises but ``Cancelled``."""
        try:
            with self.scope:
                self._end(await self._attempt())
        finally:
            self.ended.set()

    async def _attempt(self) -> Outcome:
        try:
            return await self._generate()
        except trio.Cancelled:
            raise
        except BaseExceptionGroup as group:
            # A provider's nursery wraps what it raises; the one error in it is what we want to name.
            rest = group.split(Exception)[1]
            if rest is not None:
                raise
            return self._failed(_first(group))
        except Exception as error:
            return self._failed(error)

    def _failed(self, error: BaseException) -> Failure:
        if not self._opened and self.live is not None:
            self._activation.request = None  # Refused: nobody will charge for it.
        if not isinstance(error, TrialogueError):
            ids = {"conversation": self._activation.id, "run": self.id}
            _log.error("a run failed for a reason that is ours or a plugin's", exc_info=error, extra=ids)
        return _failure(error)

    async def _generate(self) -> Outcome:
        node, limits = self._node, self._node.limits
        # The provider is asked while the question is being committed: nothing it says is shown before that, and a crash
        # in these milliseconds costs one request nobody was told of. A store in trouble is waited for.
        if node.flusher.failing is not None:
            await self._activation.wait_settled()
        live = self.live
        if live is None:
            return "stop"
        provider, name = node.catalog.provider(self._model)
        described = node.catalog.describe(self._model)
        budget = int(described.context_tokens * limits.context_share)
        header = self._activation.state.header
        at_hand, learn = self._activation.path(self._message), self._activation.learn
        attach = Attaching(
            node.library,
            header.owner,
            sees="vision" in described.capabilities,
            room=budget * CODE_POINTS_PER_TOKEN,
            patience=limits.file_patience,
        )
        request = await build_request(node.store, header, live, name, budget, at_hand, learn, attach)
        if await node.budgets.concern(header.owner, live.terms):
            request = await self._affordable(request, live, header.owner)
        if self.live is None:
            return "stop"
        self._activation.request = request
        last = trio.current_time() + limits.run_seconds
        with trio.CancelScope(deadline=min(trio.current_time() + limits.stall, last)) as watch:
            async with provider.open_response(request) as stream:
                self._opened = True
                return await self._pump(stream, watch, last)
        if trio.current_time() >= last:
            return self._cut("max_seconds")
        return Failure(
            "provider_stalled",
            f"{provider.name} sent nothing for {limits.stall:g} s. Try again, or another model.",
            True,
        )

    async def _affordable(self, request: Request, live: LiveRun, owner: str) -> Request:
        """The request, with no longer an answer than what is set aside for it pays for."""
        node = self._node
        await self._activation.wait_settled()
        model, asked = node.catalog.describe(live.model), estimate_request(request)
        self._afforded = await node.budgets.reserve(owner, live, model, asked)
        return replace(request, settings=replace(request.settings, max_tokens=self._afforded))

    async def _pump(self, stream: ResponseStream, watch: trio.CancelScope, last: float) -> Outcome:
        limits, activation = self._node.limits, self._activation
        reason: FinishReason | None = None
        while batch := await stream.receive():
            live = self.live
            if live is None:
                return "stop"
            activation.append(write(live, batch, limits.buffer_tokens))
            reason = self._look_through(batch) or reason
            if self._characters > limits.run_characters:
                return self._cut("max_characters")
            if self._afforded is not None and self._overspends(self._afforded):
                return self._cut("budget")
            if activation.pending_bytes > limits.pending_bytes:
                watch.deadline = last  # The store's slowness is not the provider's.
                await activation.wait_room(limits.pending_bytes)
                watch.deadline = min(trio.current_time() + limits.stall, last)
            if reason is None:
                await self._node.pacer.wait()
            # Moving a deadline costs as much as a token: it is moved when a quarter of it is used up.
            now = trio.current_time()
            if watch.deadline - now < limits.stall * 0.75:
                watch.deadline = min(now + limits.stall, last)
        if reason is None:
            raise ProviderError("the response ended without saying why", kind="broken")
        return reason

    def _look_through(self, batch: Sequence[Piece]) -> FinishReason | None:
        """Why the model ended, if it did; counts the characters on the way."""
        reason: FinishReason | None = None
        for piece in batch:
            match piece:
                case TextPiece():
                    self._characters += len(piece.text)
                case ReasoningPiece():
                    self._characters += len(piece.text) + len(piece.signature or "")
                case ToolCallPiece():
                    self._characters += len(piece.name) + len(piece.arguments) + len(piece.signature or "")
                case CitationPiece():
                    self._characters += len(piece.source) + len(piece.title or "") + len(piece.quote or "")
                case FinishPiece():
                    reason = reason or piece.reason
                case UsagePiece():
                    pass
        return reason

    def _overspends(self, afforded: int) -> bool:
        """Whether the provider goes on beyond the length that it was asked for."""
        live = self.live
        return live is not None and live.tokens > afforded

    def _cut(self, reason: str) -> RunIncomplete:
        return RunIncomplete(self.id, self._message, reason, self._node.now())

    def _end(self, outcome: Outcome) -> None:
        live = self.live
        if live is None:
            return
        if outcome == "length" and self._afforded not in (None, live.settings.max_tokens):
            outcome = self._cut("budget")  # The length was the budget's, not the model's.
        self._activation.append(_closing(live, outcome, self._node, self._activation.asked))
        self._activation.append(advance(self._activation.state, self._node.now()))


def _closing(live: LiveRun, outcome: Outcome, node: Node, asked: int) -> list[Event]:
    match outcome:
        case Failure():
            return fail(live, outcome, node.now(), asked)
        case RunIncomplete():
            return close(live, outcome, asked)
        case _:
            return finish(live, outcome, node.now(), asked)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(cast("BaseExceptionGroup[BaseException]", error)) if isinstance(error, BaseExceptionGroup) else error


def _failure(error: BaseException) -> Failure:
    match error:
        case ProviderError():
            return Failure(f"provider_{error.kind}", error.detail, error.kind in _RETRYABLE)
        case TrialogueError():
            return Failure(error.code, error.detail, error.retry_after is not None)
        case _:
            return Failure("internal", "Something went wrong here, not with your request. Try again.", True)
