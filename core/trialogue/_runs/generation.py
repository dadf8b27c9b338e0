"""One generation: build the request, have it afforded, ask the model, and write what comes into the log.

It never waits for storage except when too much waits there already. What comes of it is the loop's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import trio
from msgspec.structs import replace

from trialogue._asking.asking import Answering, Question
from trialogue._asking.estimates import CODE_POINTS_PER_TOKEN, estimate_request, estimate_tools
from trialogue._asking.provider import (
    CitationPiece,
    FinishPiece,
    HandlePiece,
    Piece,
    Provider,
    ReasoningPiece,
    Request,
    TextPiece,
    ToolCallPiece,
    UsagePiece,
)
from trialogue._deciding.live_run import LiveRun
from trialogue._deciding.running import write
from trialogue._facts.errors import ProviderError
from trialogue._facts.values import FinishReason, Model, ToolChoice, ToolSpec
from trialogue._runs.attaching import Attaching
from trialogue._runs.context import build_request
from trialogue._runs.kept import Kept, LostError
from trialogue._runs.repairing import shaped, with_misfit
from trialogue._runs.turning import Looping
from trialogue._runs.writer import Ending, Writer


class Generation:
    """One call of the model. Whether it ends well is what ``make`` returns; it raises what the provider raises."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        #: The upstream has taken the request.
        self.opened = False
        #: The model has begun to answer it.
        self.begun = False
        #: What it was asked; ``None`` before that.
        self.request: Request | None = None
        #: What the provider keeps the response under, while it is being written there.
        self.handle: str | None = writer.kept
        #: Tokens of an answer that the payer's budgets afford; ``None`` when no budget is concerned.
        self.afforded: int | None = None

    def __repr__(self) -> str:
        return f"<Generation of {self._writer.run} opened={self.opened} afforded={self.afforded}>"

    async def make(self) -> Ending | None:
        """Ask, and write the response; ``None`` when the run was ended meanwhile."""
        writer = self._writer
        live = writer.live
        if live is None:
            return None
        provider, name = writer.node.catalog.provider(writer.model)
        if self.handle is not None:
            return await self._take_over(provider, name, self.handle, live.cursor)
        writer.detach()
        request = await self._request(live, name)
        if writer.live is None:
            return None
        writer.activation.request = self.request = request
        return await self._ask(writer.node.turns.provider(writer.turn(live), request, provider), request)

    async def _take_over(self, provider: Provider, name: str, handle: str, cursor: int) -> Ending | None:
        """Go on with what a process that is gone was being answered with. Raises ``LostError``, if that is lost too."""
        writer = self._writer
        request, answer, live = writer.activation.request, writer.activation.answer, writer.live
        writer.kept = None
        if request is None or answer is None or live is None:
            raise LostError
        said = answer.message().parts[live.steps.settled :]
        try:
            return await self._ask(Kept(provider, handle, cursor, said), replace(request, model=name))
        except ProviderError as error:
            if self.opened:
                raise
            raise LostError from error

    async def _request(self, live: LiveRun, name: str) -> Request:
        node, activation = self._writer.node, self._writer.activation
        described = node.catalog.describe(live.model)
        budget = int(described.context_tokens * node.limits.context_share)
        header = activation.state.header
        attach = Attaching(
            node.library,
            header.owner,
            sees="vision" in described.capabilities,
            cites="citations" in described.capabilities,
            room=budget * CODE_POINTS_PER_TOKEN,
            patience=node.limits.file_patience,
        )
        at_hand, learn = activation.path(live.message), activation.learn
        tools = await self._tools(live, described)
        budget -= estimate_tools(tools)
        context = await build_request(node.store, activation.state, live, name, budget, at_hand, learn, attach)
        if activation.watch is not None:
            activation.watch.shown(context.room, context.history)
        request = shaped(context.request, described)
        if live.repairs is not None:
            await activation.wait_settled()
            request = await with_misfit(request, node.store, live, budget // 2)
        if tools:
            request = replace(request, tools=tools, tool_choice=self._choice(live))
        if node.turns:
            request = await node.turns.before(self._writer.turn(live), request)
        if await node.budgets.concern(header.owner, live.terms):
            request = await self._affordable(request, live, header.owner)
        return request

    async def _tools(self, live: LiveRun, model: Model) -> tuple[ToolSpec, ...]:
        toolbox = self._writer.node.toolbox
        if "tools" not in model.capabilities:
            return ()
        await toolbox.look()
        return toolbox.specs(live.settings)

    def _choice(self, live: LiveRun) -> ToolChoice:
        """As the settings say; but a tool that has to be called is called once, and the last time there is none to call."""
        if live.steps.generation >= self._writer.node.limits.generations:
            return "none"
        chosen = live.settings.tool_choice or "auto"
        return "auto" if chosen == "required" and live.steps.settled else chosen

    async def _affordable(self, request: Request, live: LiveRun, owner: str) -> Request:
        """The request, with no longer an answer than what is set aside for it pays for."""
        node = self._writer.node
        await self._writer.activation.wait_settled()
        model, asked = node.catalog.describe(live.model), estimate_request(request)
        self.afforded = await node.budgets.reserve(owner, live, model, asked)
        return replace(request, settings=replace(request.settings, max_tokens=self.afforded))

    async def _ask(self, provider: Provider, request: Request) -> Ending | None:
        writer = self._writer
        owner = writer.activation.state.header.owner
        model = provider.model if isinstance(provider, Looping) else writer.model
        question = Question(owner, model, provider, request, writer.deadline)

        async def listen(answering: Answering) -> Ending | None:
            before = writer.characters
            try:
                return await self._pump(answering)
            finally:
                question.settle(writer.characters - before)

        try:
            outcome = await writer.node.asking.ask(question, listen, writer.wait)
        finally:
            self.opened, self.begun = question.taken, question.begun
            self._note(question)
        if outcome is None and writer.live is not None and trio.current_time() >= writer.deadline:
            return writer.cut("max_seconds")
        return outcome

    def _note(self, question: Question) -> None:
        """What was heard of a response that then did not begin: it is charged for, if the provider says so."""
        live = self._writer.live
        if live is not None and question.taken and not question.begun and question.heard:
            self._writer.append(write(live, question.heard, self._writer.node.limits.buffer_tokens))

    async def _pump(self, answering: Answering) -> Ending | None:
        writer, (batch, stream, watch) = self._writer, answering
        node, limits, activation, last = writer.node, writer.node.limits, writer.activation, writer.deadline
        reason: FinishReason | Literal["pause"] | None = None
        while batch:
            live = writer.live
            if live is None:
                return None
            activation.append(write(live, batch, limits.buffer_tokens))
            reason = self._look_through(batch) or reason
            if writer.characters > limits.run_characters:
                return writer.cut("max_characters")
            if self.afforded is not None and self._overspends(self.afforded):
                return writer.cut("budget")
            if activation.pending_bytes > limits.pending_bytes:
                watch.deadline = last  # The store's slowness is not the provider's.
                await activation.wait_room(limits.pending_bytes)
                watch.deadline = min(trio.current_time() + limits.stall, last)
            if reason is None:
                await node.pacer.wait()
            # Moving a deadline costs as much as a token: it is moved when a quarter of it is used up.
            now = trio.current_time()
            if watch.deadline - now < limits.stall * 0.75:
                watch.deadline = min(now + limits.stall, last)
            batch = await stream.receive()
        if reason is None:
            raise ProviderError("the response ended without saying why", kind="broken")
        return reason

    def _look_through(self, batch: Sequence[Piece]) -> FinishReason | Literal["pause"] | None:
        """Why the model ended, if it did; counts the characters on the way."""
        reason: FinishReason | Literal["pause"] | None = None
        count = 0
        for piece in batch:
            match piece:
                case TextPiece():
                    count += len(piece.text)
                case ReasoningPiece():
                    count += len(piece.text) + len(piece.signature or "")
                case ToolCallPiece():
                    count += len(piece.name) + len(piece.arguments) + len(piece.signature or "")
                case CitationPiece():
                    count += len(piece.source) + len(piece.title or "") + len(piece.quote or "")
                case FinishPiece():
                    reason = reason or piece.reason
                    self.handle = None
                case HandlePiece():
                    self.handle = piece.handle
                case UsagePiece():
                    pass
        self._writer.characters += count
        return reason

    def _overspends(self, afforded: int) -> bool:
        """Whether the provider goes on beyond the length that it was asked for."""
        live = self._writer.live
        return live is not None and live.tokens - live.steps.tokens > afforded
