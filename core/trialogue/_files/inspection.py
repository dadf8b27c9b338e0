"""Reading files: each in a child process that can be killed, within bounds of time, memory and answer.

What comes back is checked like anything from outside: an extractor works on a stranger's bytes.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
import trio
from msgspec import Meta

from trialogue._files.files import VariantKind

_CHILD = Path(__file__).with_name("inspection_child.py")
#: Bytes of an answer: the text, a preview, a thumbnail.
LONGEST_ANSWER = 16 * 1024 * 1024
#: Bytes of what a child complains of that are logged.
LONGEST_COMPLAINT = 2_000
#: All that a child gets of our environment. Keys and passwords are not among it.
ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "TZ")

_log = logging.getLogger("trialogue.files")

_Size = Annotated[int, Meta(ge=1, le=1_000_000)]


class MadeVariant(msgspec.Struct, frozen=True):
    """A picture that was made."""

    kind: VariantKind
    media_type: str
    width: _Size
    height: _Size
    data: bytes


class Inspection(msgspec.Struct, frozen=True):
    """What was found in a file; ``failed`` says why it could not be read."""

    text: str | None = None
    detail: Annotated[str, Meta(max_length=500)] | None = None
    failed: str | None = None
    width: _Size | None = None
    height: _Size | None = None
    lat: Annotated[float, Meta(ge=-90, le=90)] | None = None
    lon: Annotated[float, Meta(ge=-180, le=180)] | None = None
    taken_at: datetime | None = None
    variants: tuple[MadeVariant, ...] = ()


class Bounds(msgspec.Struct, frozen=True):
    """What reading one file may take."""

    seconds: int = 60
    memory: int = 1_024 * 1_024 * 1_024
    characters: int = 500_000


async def inspect(function: str, source: int, bounds: Bounds) -> Inspection:
    """Have ``function`` read the file behind the descriptor ``source``. Never raises because of the file."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-P", str(_CHILD), function, *map(str, msgspec.structs.astuple(bounds))],
        stdin=source,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ} | {"PYTHONUTF8": "1"},
    )
    try:
        with trio.move_on_after(bounds.seconds):
            answer, complaint = await _communicate(process)
            return _judged(await process.wait(), answer, complaint, function)
        return Inspection(failed=f"reading it takes longer than {bounds.seconds} seconds")
    finally:
        await _end(process)


async def _communicate(process: trio.Process) -> tuple[bytes | None, bytes]:
    assert process.stdout is not None
    assert process.stderr is not None
    answer, complaint = bytearray(), bytearray()
    too_long = False
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_collect, process.stderr, complaint)
        async for piece in process.stdout:
            answer += piece
            if len(answer) > LONGEST_ANSWER:
                too_long = True
                process.kill()
                break
        if too_long:
            nursery.cancel_scope.cancel()
    return None if too_long else bytes(answer), bytes(complaint)


async def _collect(stream: trio.abc.ReceiveStream, into: bytearray) -> None:
    async for piece in stream:
        into += piece
        # The end is where an error says what it is.
        del into[:-LONGEST_COMPLAINT]


def _judged(status: int, answer: bytes | None, complaint: bytes, function: str) -> Inspection:
    if answer is None:
        return Inspection(failed="more was found in it than is kept")
    if status == 0:
        try:
            return msgspec.msgpack.decode(answer, type=Inspection)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            _log.warning("%s returned what cannot be used: %s", function, error)
            return Inspection(failed="what was found in it cannot be used")
    _log.warning("%s ended with %d: %s", function, status, complaint.decode(errors="replace"))
    return Inspection(failed="it cannot be read: it is damaged, or reading it takes too much memory or time")


async def _end(process: trio.Process) -> None:
    """Nothing is left of it, however the reading ended."""
    with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
        process.kill()
        await process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                await stream.aclose()
