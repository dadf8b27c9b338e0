"""Tool calls of a run: which may be made, which a person is asked about, and what becomes of those that are made.

    asked by the model -> refused, with a reason for the model
                       -> a person is asked; when nothing else is left to do, the run is parked
                       -> written into the log, and committed -> called, side by side -> its result is written

A tool is called only when the log knows of it: whoever finds the log after a crash knows what may have happened. Results
stand in the log in the order in which they come, and are shown to the model in the order of the calls.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import msgspec
import trio
from msgspec.structs import replace

from trialogue._actors.limits import Limits
from trialogue._deciding.live_run import LiveRun
from trialogue._deciding.running import returned
from trialogue._facts.events import Event
from trialogue._facts.run_events import ApprovalAsked, OpenCall, ToolCalled
from trialogue._facts.values import CitationPart, ToolCallPart
from trialogue._runs.returned_files import fit_files, forget_files, keep_files
from trialogue._runs.writer import Writer
from trialogue._tools.owned_texts import owned_text
from trialogue._tools.toolbox import allows
from trialogue._tools.tools import Tool, ToolContext, ToolError, ToolOutput

#: Citations of one result, and the length of each of their texts in code points: more is nothing for a reader.
MOST_CITATIONS, LONGEST_QUOTE = 100, 2_000

#: Length of what a tool says of its failure.
MOST_WORDS = 2_000

_decode = msgspec.json.Decoder(dict[str, Any]).decode  # A model's arguments: any JSON.
_log = logging.getLogger("trialogue.tools")


class Due(NamedTuple):
    """A call that is to be made."""

    call: str
    tool: Tool
    arguments: dict[str, Any]  # A model's arguments: any JSON.


class RefusedError(Exception):
    """A call that cannot be made; the words are for the model."""


async def make_calls(writer: Writer) -> None:
    """Go on with the open calls of the live run, as far as that is possible without a person."""
    live = writer.live
    answer = writer.activation.answer
    if live is None or answer is None:
        return
    await writer.node.toolbox.look()
    parts = {part.call: part for part in answer.message().parts if isinstance(part, ToolCallPart)}
    due: list[Due] = []
    for number, call in enumerate(live.steps.calls):
        _prepare(writer, call, parts.get(call.call), number, due)
    if due:
        await writer.activation.wait_settled()  # The gate: no effect before the log knows.
        async with trio.open_nursery() as nursery:
            for one in due:
                nursery.start_soon(_make, writer, one)


def _prepare(writer: Writer, call: OpenCall, part: ToolCallPart | None, number: int, due: list[Due]) -> None:
    live, node = writer.live, writer.node
    if live is None or call.state == "asked":
        return
    try:
        if number >= node.limits.tool_calls:
            raise RefusedError(f"this is more than {node.limits.tool_calls} calls at a time: make it later")
        one = _due(writer, live, call, part)
    except RefusedError as error:
        writer.append([returned(live, call.call, str(error), node.now(), failed=True)])
        return
    if call.state == "new" and node.toolbox.asks(one.tool, live.settings):
        writer.append([_asked(writer, live, call)])
        return
    writer.append([ToolCalled(live.run, live.message, call.call, call.name, node.now(), one.tool.idempotent)])
    due.append(one)


def _asked(writer: Writer, live: LiveRun, call: OpenCall) -> Event:
    now = writer.node.now()
    until = now + timedelta(seconds=writer.node.limits.approval)
    return ApprovalAsked(live.run, live.message, call.call, now, until)


def _due(writer: Writer, live: LiveRun, call: OpenCall, part: ToolCallPart | None) -> Due:
    """Raises ``RefusedError``."""
    tool = writer.node.toolbox.find(call.name)
    if tool is None or not allows(live.settings, call.name):
        raise RefusedError(f"there is no tool {call.name[:64]!r} for you to call")
    text = "" if part is None else part.arguments if part.edited is None else part.edited
    most = writer.node.limits.tool_arguments
    if len(text) > most:
        raise RefusedError(f"the arguments are longer than {most} characters (tool_argument_characters)")
    try:
        return Due(call.call, tool, _decode(text) if text.strip() else {})
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise RefusedError(f"the arguments are no JSON object: {error}") from error


async def _make(writer: Writer, due: Due) -> None:
    """Make one call, and write down what it came to."""
    node, owner = writer.node, writer.activation.state.header.owner
    said, files = await keep_files(node, owner, await _called(writer, due))
    live = writer.live
    if live is None:
        await forget_files(node.library, owner, [file.file for file in files])
        return
    writer.append(
        [returned(live, due.call, said.text, node.now(), failed=said.failed, citations=said.citations, files=files)]
    )


async def _called(writer: Writer, due: Due) -> ToolOutput:
    """What the tool says, within bounds, or what happened instead. Never raises but ``Cancelled``."""
    node, header = writer.node, writer.activation.state.header
    seconds = min(due.tool.timeout, node.limits.tool_seconds)
    deadline = trio.current_time() + seconds
    search, read = node.toolbox.search_for(header.owner), partial(owned_text, node.store, header.owner)
    context = ToolContext(header.owner, header.id, writer.run, due.call, deadline, search, read)
    with trio.CancelScope(deadline=deadline):
        try:
            return fit_files(cut(await due.tool.call(due.arguments, context), node.limits), node.limits)
        except trio.Cancelled:
            raise
        except BaseExceptionGroup as group:
            if group.split(Exception)[1] is not None:
                raise
            return _failed(group, due)
        except Exception as error:
            return _failed(error, due)
    return ToolOutput(f"the tool took longer than {seconds:g} seconds, and was given up", failed=True)


def _failed(error: BaseException, due: Due) -> ToolOutput:
    """What the model is told."""
    if isinstance(error, ToolError):
        return ToolOutput(_writable(str(error)[:MOST_WORDS]) or "it failed", failed=True)
    _log.error("tool %r failed", due.tool.name, exc_info=error, extra={"call": due.call})
    return ToolOutput("the tool failed for a reason of its own; calling it again may help", failed=True)


def cut(output: ToolOutput, limits: Limits) -> ToolOutput:
    """The output within its bounds, and with nothing that cannot be written down."""
    text, more = output.text[: limits.tool_output], len(output.text) - limits.tool_output
    if more > 0:
        text += f"\n[{more} characters left out: there is room for {limits.tool_output} (tool_output_characters)]"
    citations = tuple(_cut_citation(one) for one in output.citations[:MOST_CITATIONS])
    return replace(output, text=_writable(text), citations=citations)


def _cut_citation(one: CitationPart) -> CitationPart:
    title, quote = (
        one.title and _writable(one.title[:LONGEST_QUOTE]),
        one.quote and _writable(one.quote[:LONGEST_QUOTE]),
    )
    return CitationPart(_writable(one.source[:LONGEST_QUOTE]), title, quote)


def _writable(text: str) -> str:
    """Without halves of surrogate pairs, which are no Unicode and no JSON."""
    return text.encode("utf-8", "replace").decode()
