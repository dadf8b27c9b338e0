"""What an MCP server's results are for a model, as text, and for the people who read along, as citations."""

from __future__ import annotations

import mcp_types as types
import msgspec

from trialogue import CitationPart, ToolOutput

#: Characters of a result that are looked at; the server cuts further, and says so.
MOST = 1_000_000


def output_of(result: types.CallToolResult) -> ToolOutput:
    """The result within bounds. What is no text is named and left out."""
    texts: list[str] = []
    citations: list[CitationPart] = []
    left = MOST
    for block in result.content:
        text, citation = _said(block)
        texts.append(text[:left])
        citations += [citation] if citation is not None else []
        left -= len(text)
        if left <= 0:
            texts.append("[the rest of the result was left out]")
            break
    if not any(texts) and result.structured_content is not None:
        texts = [msgspec.json.encode(result.structured_content).decode()[:MOST]]
    text = "\n".join(texts) or "The tool returned nothing."
    return ToolOutput(text, tuple(citations), failed=bool(result.is_error))


def _said(block: types.ContentBlock) -> tuple[str, CitationPart | None]:
    match block:
        case types.TextContent():
            return block.text, None
        case types.ImageContent() | types.AudioContent():
            kind = "an image" if isinstance(block, types.ImageContent) else "a sound"
            return f"[{kind} of type {block.mime_type}, which cannot be shown here]", None
        case types.ResourceLink():
            title = block.title or block.name
            return f"[{title}]({block.uri})", CitationPart(str(block.uri), title)
        case types.EmbeddedResource():
            return _embedded(block.resource)
        case _:
            return "[something of an unknown kind]", None


def _embedded(resource: types.TextResourceContents | types.BlobResourceContents) -> tuple[str, CitationPart]:
    source = CitationPart(str(resource.uri))
    if isinstance(resource, types.TextResourceContents):
        return resource.text, source
    return f"[{resource.uri}, of type {resource.mime_type}, which cannot be shown here]", source
