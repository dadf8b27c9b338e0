"""Answers that were to be JSON of a schema: how the model is told, and what becomes of one that does not fit.

It is repaired once. The run fails, its answer stays as it was said, and another run answers beside it, of the same model,
which is shown what it said and what is wrong with it. If that does not fit either, it fails, and nobody goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from trialogue._asking.estimates import estimate_message
from trialogue._asking.provider import Request
from trialogue._deciding.live_run import LiveRun
from trialogue._deciding.running import fail, followed
from trialogue._facts.events import Event, MessageAdded
from trialogue._facts.values import AnswerSchema, Failure, Message, Model, TextPart
from trialogue._runs.context import so_far
from trialogue._runs.writer import Outcome, Writer
from trialogue._storage.store import Store

#: The failure of an answer that is not what was asked for.
DOES_NOT_FIT = "answer_does_not_fit"


def shaped(request: Request, model: Model) -> Request:
    """The request, with what the answer is to look like: as the provider knows it, or else in words."""
    wanted = request.settings.answer_schema
    if wanted is None:
        return request
    if "structured_output" in model.capabilities:
        return replace(request, answer_schema=wanted)
    said = (request.system, _instruction(wanted))
    return replace(request, system="\n\n".join(text for text in said if text))


def _instruction(wanted: AnswerSchema) -> str:
    schema = msgspec.json.encode(wanted.schema).decode()
    return (
        "Your whole answer must be one JSON value that is valid against the JSON Schema below. Write nothing before or "
        f"after it, and put no code fence around it.\n{schema}"
    )


async def with_misfit(request: Request, store: Store, live: LiveRun, budget: int) -> Request:
    """The request, in which the model is shown the answer that ``live`` is to repair, as far as ``budget`` tokens allow it,
    and told what is wrong with it. Raises ``StorageError``.
    """
    failed = None if live.repairs is None else await store.message(live.repairs)
    if failed is None or failed.failure is None:
        return request  # It was removed meanwhile: the question is still there to be answered.
    asked = replace(failed, role="user", parts=(TextPart(_complaint(failed.failure)),))
    shown = (failed, asked) if estimate_message(failed) <= budget else (asked,)
    own = next((at for at, one in enumerate(request.messages) if one.id == live.message), len(request.messages))
    return replace(request, messages=(*request.messages[:own], *shown, *request.messages[own:]))


def _complaint(failure: Failure) -> str:
    return (
        f"Your last answer cannot be used: {failure.detail} Answer again, with nothing but JSON that fits the schema."
    )


async def judged(writer: Writer, outcome: Outcome | None) -> Outcome | None:
    """``outcome``, or the failure of an answer that the model has ended and that is not what was asked for."""
    live, answer = writer.live, writer.activation.answer
    if outcome != "stop" or live is None or answer is None or live.settings.answer_schema is None:
        return outcome
    fault = await writer.node.fitting.misfit(live.settings.answer_schema, so_far(answer.message())[1])
    if fault is None:
        return outcome
    place = f" (at {fault.pointer})" if fault.pointer else ""
    return Failure(DOES_NOT_FIT, f"The answer does not fit the schema that was asked for: {fault.detail}{place}.")


def find_repair(writer: Writer, failure: Failure) -> Sequence[Event] | None:
    """What ends a run whose answer does not fit and starts the one that repairs it; ``None`` when none does."""
    live, answer, state = writer.live, writer.activation.answer, writer.activation.state
    if live is None or answer is None or live.repairs is not None or state.header.head != live.message:
        return None
    run, at, said = writer.node.new_id(), writer.node.now(), answer.message()
    beside = Message(
        id=writer.node.new_id(),
        conversation=said.conversation,
        role="assistant",
        parts=(),
        created_at=at,
        parent=said.parent,
        status="in_progress",
        model=live.model,
        run=run,
        asked=live.asked,
    )
    start = followed(live, run, at, "repair")
    start = replace(start, message=beside.id, attempt=1, first_part=0, repairs=live.message)
    return [*fail(live, failure, at, writer.activation.asked, run), MessageAdded(beside), start]
