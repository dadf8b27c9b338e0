"""Under which id a call of a tool is told to an upstream again. Pure; for the bodies of requests."""

from __future__ import annotations

from trialogue._facts.values import Message, ToolCallPart


def ids_of_calls(message: Message, own: str | None) -> dict[str, str]:
    """The upstream's id of each call in ``message``, by ours.

    To the model that made a call it is its own id, as far as it told one and told it once: some want exactly what they
    said. To any other it is ours. ``own`` is the full id of the model that is asked.
    """
    theirs: dict[str, str] = {}
    for part in message.parts:
        if isinstance(part, ToolCallPart):
            told = part.signature if message.model == own and own is not None else None
            theirs[part.call] = told if told and told not in theirs.values() else part.call
    return theirs
