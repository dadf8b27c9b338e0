"""An answer that failed is gone on with by another run: of which model, and from where.

    the same model     when it had begun to answer, and broke off
    the next one       of those that the operator names for it (``Limits.fallbacks``), when it did not begin or is left alone

The new run goes on within the answer, from its last word, where the model can do that or there is no word yet. Else it
answers anew, in a message beside the one that failed, which keeps what was said; of that only tool calls are taken along,
with their results, so that none is made again. Each run has its own start, end and charge; nobody sees a text twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from trialogue._asking.provider import Request
from trialogue._deciding.live_run import LiveRun
from trialogue._deciding.running import fail, followed
from trialogue._facts.errors import TrialogueError
from trialogue._facts.events import Event, MessageAdded
from trialogue._facts.values import Failure, Message, Model, Part, ReasoningPart, Settings, ToolCallPart, ToolResultPart
from trialogue._runs.context import so_far
from trialogue._runs.writer import Writer

#: Failures that another model, or the same one in a moment, need not have.
PASSING = frozenset(f"provider_{kind}" for kind in ("throttled", "unavailable", "stalled", "broken", "malformed"))


async def find_successor(
    writer: Writer, failure: Failure, request: Request | None, *, begun: bool
) -> list[Event] | None:
    """What ends a run that failed and starts the one that goes on; ``None`` when none does.

    ``request`` is what its model was asked last, and ``begun`` whether that was being answered.
    """
    live, answer = writer.live, writer.activation.answer
    if live is None or answer is None or failure.code not in PASSING:
        return None
    if len(live.before) >= writer.node.limits.failovers:
        return None
    for name in candidates(live, writer.node.limits.fallbacks, begun=begun):
        model = writer.node.catalog.find(name)
        if model is not None and is_able(model, request) and await _may_be_asked(writer, live, model):
            live = writer.live  # Somebody may have ended it while its budget was looked at.
            return None if live is None else _succession(writer, live, failure, answer.message(), model)
    return None


def candidates(live: LiveRun, fallbacks: Mapping[str, Sequence[str]], *, begun: bool) -> Sequence[str]:
    """Models that may go on for ``live``, in the order in which they are to be tried."""
    first = live.asked or live.model
    chain = (first, *fallbacks.get(first, ()))
    rest = chain[chain.index(live.model) + 1 :] if live.model in chain else chain
    return (live.model, *rest) if begun else rest


def is_able(model: Model, request: Request | None) -> bool:
    """Whether a model can do what was asked of another one."""
    if request is None:
        return True
    wanted = {"vision": request.images, "tools": request.tools, "structured_output": request.answer_schema}
    return all(name in model.capabilities for name, needed in wanted.items() if needed)


async def _may_be_asked(writer: Writer, live: LiveRun, model: Model) -> bool:
    """Whether it is not being left alone, and whoever pays can afford it."""
    if writer.node.asking.circuits.resting(model.id):
        return False
    try:
        await writer.node.budgets.check(writer.activation.state.header.owner, replace(live.terms, prices=model.prices))
    except TrialogueError:
        return False
    return True


def _succession(writer: Writer, live: LiveRun, failure: Failure, answer: Message, model: Model) -> list[Event] | None:
    node, activation = writer.node, writer.activation
    run, at = node.new_id(), node.now()
    ending = fail(live, failure, at, activation.asked, run)
    start = followed(live, run, at, "failover")
    first = live.asked or live.model
    start = replace(
        start,
        model=model.id,
        asked=None if model.id == first else first,
        terms=replace(live.terms, prices=model.prices),
    )
    if _goes_on(answer, live.model, model):
        prefix = so_far(answer)[1]
        return [*ending, replace(start, settings=_shortened(live) if prefix else live.settings)]
    if activation.state.header.head != answer.id:
        return (
            None  # Another branch is being looked at, or another message hangs below it: this is no time for a new one.
        )
    beside = _beside(answer, node.new_id(), start.model, start.asked, run, at, same=model.id == live.model)
    return [
        *ending,
        MessageAdded(beside),
        replace(start, message=beside.id, attempt=1, first_part=len(beside.parts)),
    ]


def _goes_on(answer: Message, old: str, model: Model) -> bool:
    """Whether a model can go on within an answer: with its text, and with what else the old model said."""
    if so_far(answer)[1] and "continues" not in model.capabilities:
        return False
    if any(isinstance(part, ToolCallPart) for part in answer.parts[_answered(answer) :]):
        return False  # A call that was made in the response that broke: nobody has answered it.
    return model.id == old or not any(getattr(part, "signature", None) for part in answer.parts)


def _shortened(live: LiveRun) -> Settings:
    """With the tokens that are left, where somebody has said how many a response may have."""
    most, said = live.settings.max_tokens, live.tokens - live.steps.tokens
    return live.settings if most is None else replace(live.settings, max_tokens=max(1, most - said))


def _beside(
    answer: Message, name: str, model: str, asked: str | None, run: str, at: datetime, *, same: bool
) -> Message:
    """The answer that is begun anew beside one that failed."""
    return Message(
        id=name,
        conversation=answer.conversation,
        role="assistant",
        parts=_taken_along(answer, same=same),
        created_at=at,
        parent=answer.parent,
        status="in_progress",
        model=model,
        run=run,
        asked=asked,
    )


def _taken_along(answer: Message, *, same: bool) -> tuple[Part, ...]:
    """Calls of tools with their results, and what was said before them; another model gets no thoughts of the old one's."""
    parts = answer.parts[: _answered(answer)]
    return parts if same else tuple(_plain(part) for part in parts if not isinstance(part, ReasoningPart))


def _answered(answer: Message) -> int:
    """How many parts there are up to the last result of a tool."""
    return max((at for at, part in enumerate(answer.parts, 1) if isinstance(part, ToolResultPart)), default=0)


def _plain(part: Part) -> Part:
    return replace(part, signature=None) if isinstance(part, ToolCallPart) else part
