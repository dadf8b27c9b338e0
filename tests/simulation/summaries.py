"""Holds what a model is told in the place of an older part against the rows: it has to be of the branch that it is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trialogue import Message, Request, text_of
from trialogue._runs.context import SUM_UP
from trialogue.testing._memory_rows import Row

#: How the summaries of our models begin; what follows is the last question that they were shown.
MARK = "sum "


def fault_of(request: Request, rows: Mapping[str, Row]) -> str | None:
    """What is wrong with a request; ``None`` where nothing is, or too little of it is in the store yet to tell."""
    if len(request.messages) < 3 or text_of(request.messages[0].parts) != SUM_UP:
        return None
    summed, first = request.messages[1:3]
    above = list(_above(first, rows[summed.conversation]))
    if above and above[-1].parent is not None:
        return None
    place = next((number for number, message in enumerate(above) if message.id == summed.id), None)
    if place is None:
        return f"{first.id} is answered with a summary of {summed.id}, which is not above it"
    told = text_of(summed.parts)
    said = {text_of(message.parts) for message in above[place:]}
    if told.startswith(MARK) and told.removeprefix(MARK).strip() not in said:
        return f"{first.id} is answered with a summary of what is not above it: {told!r}"
    return None


def _above(message: Message, row: Row) -> Iterator[Message]:
    """What is above it as far as that is stored, the nearest first."""
    wanted = message.parent
    while wanted is not None and (found := row.messages.get(wanted)) is not None:
        yield found
        wanted = found.parent
