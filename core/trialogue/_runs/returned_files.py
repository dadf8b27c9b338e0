"""Pictures and other files that tools return: kept as if the conversation's owner had uploaded them, or told in words.

What is kept has a row and counts against its owner's room; the call's result names it, and it goes with the conversation.
What no result comes to name, because the answer was ended meanwhile, is removed again.
"""

from __future__ import annotations

from collections.abc import Sequence

import trio
from msgspec.structs import replace

from trialogue._actors.limits import Limits
from trialogue._actors.node import Node
from trialogue._facts.errors import StorageError, TrialogueError
from trialogue._facts.values import FilePart
from trialogue._files.blobs import CLEAN_UP
from trialogue._files.file_names import clean_name
from trialogue._files.files import File
from trialogue._files.library import Library
from trialogue._files.media_types import HEAD, media_type_of
from trialogue._tools.tools import ToolFile, ToolOutput

#: Bytes handed to an upload at a time.
_PIECE = 512 * 1024
#: Length of a media type in what a model is told.
_SHOWN = 80


def fit_files(output: ToolOutput, limits: Limits) -> ToolOutput:
    """The output with those of its files that may be kept, and of the others words; one that is no picture, though the
    tool says so, makes it a failed one.
    """
    fitting: list[ToolFile] = []
    notes: list[str] = []
    failed, room = output.failed, limits.tool_file_bytes
    for file in output.files:
        if (found := _misnamed(file)) is not None:
            failed = True
            notes.append(_note(file, f"it was left out, because its content is {found}"))
        elif len(fitting) >= limits.tool_files:
            notes.append(_note(file, f"it was left out: a call may return {limits.tool_files} (tool_files_per_call)"))
        elif len(file.data) > room:
            notes.append(
                _note(file, f"it was left out: a call may return {limits.tool_file_bytes} bytes (tool_files_max_bytes)")
            )
        else:
            room -= len(file.data)
            fitting.append(file)
    return replace(_with(output, notes), failed=failed, files=tuple(fitting))


async def keep_files(node: Node, owner: str, output: ToolOutput) -> tuple[ToolOutput, tuple[FilePart, ...]]:
    """Keep the files of an output that ``fit_files`` made: what is left of it, and the files as a result names them.

    Never raises but ``Cancelled``, and leaves nothing behind then.
    """
    files, output = output.files, replace(output, files=())
    if not files:
        return output, ()
    try:
        if node.library is None:
            raise StorageError("no files are kept here")
        with trio.fail_after(node.limits.file_patience):
            made = await _upload(node, node.library, owner, files)
    except (TrialogueError, trio.TooSlowError) as error:
        why = error.detail if isinstance(error, TrialogueError) else "keeping it took too long"
        return _with(output, [_note(one, f"it was left out: {why}") for one in files]), ()
    return output, tuple(FilePart(file.id, file.name, file.media_type) for file in made)


async def forget_files(library: Library | None, owner: str, files: Sequence[str]) -> None:
    """Remove files that no result names, by their ids. What cannot be removed now stays among its owner's files."""
    if library is None or not files:
        return
    with trio.CancelScope(shield=True, deadline=trio.current_time() + CLEAN_UP):
        try:
            for file in files:
                if await library.files.drop(file):
                    library.tell(owner, file, None)
        except StorageError:
            pass


async def _upload(node: Node, library: Library, owner: str, files: Sequence[ToolFile]) -> tuple[File, ...]:
    """Raises ``LimitError``, ``QuotaError``, ``StorageError``."""
    ids = [node.new_id() for _ in files]
    made: tuple[File, ...] = ()
    try:
        async with library.upload(owner) as upload:
            for id, file in zip(ids, files, strict=True):
                await upload.begin(file.name, file=id)
                for at in range(0, len(file.data), _PIECE):
                    await upload.write(file.data[at : at + _PIECE])
                await upload.end()
            made = await upload.commit()
    finally:
        if not made:  # Perhaps it was committed all the same.
            await forget_files(library, owner, ids)
    library.added(made)
    return made


def _misnamed(file: ToolFile) -> str | None:
    """What a file is that is said to be a picture and is none."""
    if not (file.media_type or "").startswith("image/"):
        return None
    found = media_type_of(file.data[:HEAD], len(file.data) <= HEAD) if file.data else "empty"
    return None if found.startswith("image/") else found


def _with(output: ToolOutput, notes: Sequence[str]) -> ToolOutput:
    return replace(output, text="\n".join([output.text] * bool(output.text) + list(notes))) if notes else output


def _note(file: ToolFile, why: str) -> str:
    said = (file.media_type or "of an unknown type")[:_SHOWN].encode("utf-8", "replace").decode()
    return f"[file {clean_name(file.name)!r}, {said}: {why}]"
