"""What an MCP server's results are: text for a model, pictures and other files, and citations for those who read along."""

from __future__ import annotations

import binascii
import mimetypes

import mcp_types as types
import msgspec

from trialogue import CitationPart, ToolError, ToolFile, ToolOutput

#: Characters of a result that are looked at; the server cuts further, and says so.
MOST = 1_000_000
#: What is a file in a result; a text says where it stood.
_Coded = types.ImageContent | types.AudioContent | types.BlobResourceContents


def output_of(result: types.CallToolResult) -> ToolOutput:
    """The result within bounds; may take some milliseconds. Raises ``ToolError`` for content that is none."""
    texts: list[str] = []
    citations: list[CitationPart] = []
    files: list[ToolFile] = []
    left = MOST
    for block in result.content:
        text, citation, file = _said(block, len(files) + 1)
        texts.append(text[:left])
        citations += [citation] if citation is not None else []
        files += [file] if file is not None else []
        left -= len(text)
        if left <= 0:
            texts.append("[the rest of the result was left out]")
            break
    if not any(texts) and result.structured_content is not None:
        texts = [msgspec.json.encode(result.structured_content).decode()[:MOST]]
    text = "\n".join(texts) or "The tool returned nothing."
    return ToolOutput(text, tuple(citations), failed=bool(result.is_error), files=tuple(files))


def _said(block: types.ContentBlock, number: int) -> tuple[str, CitationPart | None, ToolFile | None]:
    """What a block says, where that comes from, and the file in it, which would be the result's ``number``-th."""
    match block:
        case types.TextContent():
            return block.text, None, None
        case types.ImageContent() | types.AudioContent():
            kind = "picture" if isinstance(block, types.ImageContent) else "sound"
            file = _file(block, block.data, f"{kind}-{number}")
            return f"[the {kind} {file.name!r}]", None, file
        case types.ResourceLink():
            title = block.title or block.name
            return f"[{title}]({block.uri})", CitationPart(str(block.uri), title), None
        case types.EmbeddedResource():
            return _embedded(block.resource, number)
        case _:
            return "[something of an unknown kind]", None, None


def _embedded(
    resource: types.TextResourceContents | types.BlobResourceContents, number: int
) -> tuple[str, CitationPart, ToolFile | None]:
    source = CitationPart(str(resource.uri))
    if isinstance(resource, types.TextResourceContents):
        return resource.text, source, None
    name = str(resource.uri).rstrip("/").rpartition("/")[2].partition("?")[0]
    file = _file(resource, resource.blob, name or f"file-{number}")
    return f"[the file {file.name!r}, from {resource.uri}]", source, file


def _file(one: _Coded, coded: str, name: str) -> ToolFile:
    """Raises ``ToolError``."""
    try:
        data = binascii.a2b_base64(coded, strict_mode=True)
    except ValueError as error:
        raise ToolError(f"the tool's result holds {name!r} as base64 that is none: {error}") from error
    if not data:
        raise ToolError(f"the tool's result holds {name!r}, which is empty")
    media_type = (one.mime_type or "").partition(";")[0].strip().lower() or None
    ending = mimetypes.guess_extension(media_type or "") or ""
    return ToolFile(name if "." in name else name + ending, data, media_type)
