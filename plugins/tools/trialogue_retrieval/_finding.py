"""Finding passages: the server's search, what is around its hits, and what is tried when nothing has all the words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from trialogue import Hit, HitKind, SearchQuery, ToolContext, ToolError
from trialogue_retrieval._passages import LENGTH, Passage, around

#: Kinds of what is looked for. A title alone says nothing to answer from.
_KINDS: dict[str, tuple[HitKind, ...]] = {
    "all": ("message", "file"),
    "files": ("file",),
    "conversations": ("message",),
}
#: Words that are looked for one by one when no text has all of them.
_SINGLE_WORDS = 4
#: Hits beyond those asked for: some are of this conversation, which the model knows.
_SPARE = 15


async def find(
    context: ToolContext, words: str, within: Literal["all", "files", "conversations"], most: int
) -> list[Passage]:
    """Passages, best first. Raises ``ToolError`` and what the server's search raises."""
    if context.search is None or context.read is None:
        raise ToolError("nothing can be searched here")
    wanted = sorted(set(re.findall(r"\w+", words)), key=lambda word: (-len(word), word))
    hits = await _hits(context, words, within, most)
    if not hits and len(wanted) > 1:
        # Models ask in sentences, of which no text has every word.
        orders = [await _hits(context, word, within, most) for word in wanted[:_SINGLE_WORDS]]
        hits = _most_often(orders)
    found = [await _passage(context, hit, wanted) for hit in hits[:most]]
    return [one for one in found if one is not None]


async def _hits(context: ToolContext, text: str, within: str, most: int) -> Sequence[Hit]:
    assert context.search is not None
    found = await context.search(SearchQuery(text, _KINDS[within]), most + _SPARE)
    return [hit for hit in found.hits if hit.conversation != context.conversation]


def _most_often(orders: Sequence[Sequence[Hit]]) -> Sequence[Hit]:
    """Each hit once, those first that have the most of the words; of equal ones the earlier found."""
    known = {(hit.kind, hit.id): hit for order in reversed(orders) for hit in reversed(order)}
    counts = {key: sum(any((hit.kind, hit.id) == key for hit in order) for order in orders) for key in known}
    keys = [key for order in orders for key in ((hit.kind, hit.id) for hit in order)]
    return [known[key] for key in sorted(dict.fromkeys(keys), key=lambda key: -counts[key])]


async def _passage(context: ToolContext, hit: Hit, words: Sequence[str]) -> Passage | None:
    """What is around the hit; nothing when it has gone since."""
    assert context.read is not None
    source = f"{hit.kind}:{hit.id}"
    found = await context.read(source)
    if found is None or not found.text.strip():
        # A file that was found by its name has perhaps no text.
        return Passage(source, hit.title, hit.snippet, 0, len(hit.snippet)) if hit.kind == "file" else None
    start = around(found.text, hit.snippet, words)
    return Passage(source, found.title or hit.title, found.text[start : start + LENGTH], start, len(found.text))
