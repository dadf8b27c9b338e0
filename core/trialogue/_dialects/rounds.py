"""An answer with tools in it, taken apart into what upstreams want: what one generation said, then what its calls came to.

An answer is one message, whatever happened while it was written: text, tool calls, results, text again. Upstreams take
turns: the model says something and calls tools, the results come back, the model goes on. Pure.

    for said, results in rounds_of(message.parts):
        ...                      # OpenAI: one assistant message, then one of the tool for each result
                                 # Anthropic: the assistant's blocks, then the results as blocks of one user message
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from trialogue._facts.values import Part, ToolCallPart, ToolResultPart

#: What a model is told of a call that nothing came of: it was stopped before, or its result is not known any more.
NO_RESULT = "There is no result: the answer ended before the tool was done."


class Round(NamedTuple):
    """What a generation ``said``, its tool calls included, and a result for each of these, in the order of the calls."""

    said: tuple[Part, ...]
    results: tuple[ToolResultPart, ...] = ()


def rounds_of(parts: Sequence[Part]) -> list[Round]:
    """The rounds in an assistant's message, one at least; only the last one can be without calls.

    Whatever the parts are, each call has exactly one result, right behind it: one without is given a failed one, and a
    result without a call is left out. A call is shown with the arguments that the tool was called with.
    """
    answers = {part.call: part for part in reversed(parts) if isinstance(part, ToolResultPart)}
    rounds: list[list[Part]] = [[]]
    waiting = False  # Results follow what was said: what comes after them begins a new round.
    called: set[str] = set()
    for part in parts:
        if isinstance(part, ToolResultPart):
            waiting = bool(_calls(rounds[-1]))
        elif not isinstance(part, ToolCallPart) or part.call not in called:
            if waiting:
                rounds.append([])
            waiting = False
            rounds[-1].append(_as_called(part, called))
    return [Round(tuple(said), tuple(_result(call, answers) for call in _calls(said))) for said in rounds]


def _as_called(part: Part, called: set[str]) -> Part:
    if not isinstance(part, ToolCallPart):
        return part
    called.add(part.call)
    return part if part.edited is None else replace(part, arguments=part.edited, edited=None)


def _calls(said: Sequence[Part]) -> list[ToolCallPart]:
    return [part for part in said if isinstance(part, ToolCallPart)]


def _result(call: ToolCallPart, answers: dict[str, ToolResultPart]) -> ToolResultPart:
    return answers.get(call.call) or ToolResultPart(call.call, NO_RESULT, failed=True)
