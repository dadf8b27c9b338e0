"""The two tools: one that searches, and one that reads on in what was found."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from trialogue import CitationPart, ToolContext, ToolError, ToolOutput, TrialogueError, tool
from trialogue_retrieval._finding import find
from trialogue_retrieval._passages import Passage, shown

#: Code points that are read at a time.
PAGE = 8_000

_Words = Annotated[
    str, Meta(min_length=1, max_length=500, description="A few key words, in the language of what is looked for.")
]
_Most = Annotated[int, Meta(ge=1, le=20, description="Passages at most.")]
_Source = Annotated[
    str, Meta(max_length=200, description="The source of a passage, as file:ID or message:ID, without the brackets.")
]
_Start = Annotated[int, Meta(ge=0, le=10**7, description="The character to read from; 0 is the beginning.")]


@tool(idempotent=True, timeout=20)
async def search_my_content(
    context: ToolContext, words: _Words, within: Literal["all", "files", "conversations"] = "all", most: _Most = 5
) -> ToolOutput:
    """Searches the files that the user has uploaded and the user's other conversations, and returns passages with their
    sources. Use it when the answer may stand in something of the user's own. Say in the answer which sources it rests on.
    """
    try:
        passages = await find(context, words, within, most)
    except TrialogueError as error:
        raise ToolError(f"the search failed: {error}") from error
    if not passages:
        return ToolOutput("Nothing was found. Fewer or other words may find something.")
    citations = tuple(CitationPart(one.source, one.title, one.text) for one in passages)
    return ToolOutput(shown(passages), citations)


@tool(idempotent=True, timeout=20)
async def read_my_content(context: ToolContext, source: _Source, start: _Start = 0) -> ToolOutput:
    """Reads on in a file or a message of the user's, by the source that a search has returned, 8000 characters at a time."""
    if context.read is None:
        raise ToolError("nothing can be read here")
    try:
        found = await context.read(source)
    except TrialogueError as error:
        raise ToolError(f"it could not be read: {error}") from error
    if found is None:
        raise ToolError(f"the user has no text {source!r}: use a source that a search has returned")
    if start >= max(1, len(found.text)):
        raise ToolError(f"{source!r} has {len(found.text)} characters: start before that")
    passage = Passage(source, found.title, found.text[start : start + PAGE], start, len(found.text))
    return ToolOutput(shown([passage]), (CitationPart(source, found.title),))
