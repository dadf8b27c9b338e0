"""What an upload consists of: its kind is told by its first bytes, its conversations by their shape, nothing by names.

Everything here blocks and runs in a thread. Whatever is in an upload, no more of it is held than one conversation.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO

import msgspec
from msgspec import UNSET, Raw, UnsetType

from trialogue import Beginning, InvalidError, LimitError, TrialogueError
from trialogue_server._exchange.archive import FOLDER, INDEX
from trialogue_server._exchange.chatgpt import read_chatgpt
from trialogue_server._exchange.claude import read_claude
from trialogue_server._exchange.document import ExportedFile
from trialogue_server._exchange.files_in import FoundFile
from trialogue_server._exchange.ours import SOURCE as OURS
from trialogue_server._exchange.ours import read_ours
from trialogue_server._exchange.splitter import Refused, check_elements, split
from trialogue_server._exchange.tree import beginning_of

#: What a zip's directory may take, and how many names stand in it: it is read whole.
DIRECTORY_BYTES, DIRECTORY_NAMES = 16_777_216, 60_000
#: Bytes of a file that are held at a time, and of what the index says of one.
READ_FILE, INDEXED_FILE = 262_144, 32_768
#: Messages in one conversation of others' exports, those without words included.
MOST_MESSAGES = 200_000
#: Ways of packing whose unpacking needs little memory.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
#: What the library says of a zip that is none, or none of ours: also of names that are not UTF-8, and of places before its
#: beginning.
_BAD_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error)


class Bounds(msgspec.Struct, frozen=True):
    """Largest conversation, and the most that an upload may unpack to, in bytes."""

    conversation: int
    unpacked: int


class Found(msgspec.Struct, frozen=True):
    """One conversation of an upload, or why it cannot be taken in."""

    source: str | None = None
    beginning: Beginning | None = None
    detail: str = ""
    title: str | None = None


#: Among conversations, something else.
STRANGE = Found(detail="it is no conversation of an export we know")


class TooMuchError(LimitError):
    """An upload unpacks to more than is allowed."""


class Unknown(msgspec.Struct, frozen=True):
    """A piece that is no conversation of any export we know."""


def pieces_of(path: Path, owner: str, now: datetime, bounds: Bounds) -> Generator[Found | FoundFile]:
    """The conversations in an upload, in its order. Raises ``InvalidError`` for what is no export, or is damaged."""
    with path.open("rb") as file:
        if file.read(4) in (b"PK\x03\x04", b"PK\x05\x06"):
            yield from _in_zip(file, owner, now, bounds)
            return
        file.seek(0)
        for found in _in_document(file.read, owner, now, bounds):
            yield found if isinstance(found, Found) else STRANGE


# --- zip ---------------------------------------------------------------------------------------------------------


def _in_zip(file: IO[bytes], owner: str, now: datetime, bounds: Bounds) -> Iterator[Found | FoundFile]:
    _check_directory(file)
    known = False
    try:
        with zipfile.ZipFile(file) as packed:
            meter = _Meter(bounds.unpacked)
            yield from _files_in(packed, meter)
            for member in packed.infolist():
                if not member.is_dir() and not member.filename.startswith(FOLDER):
                    for found in _conversations(meter.of(_opened(packed, member)), owner, now, bounds):
                        known = True
                        yield found
    except _BAD_ZIP as error:
        raise InvalidError(f"the zip is damaged, or locked: {error}") from error
    if not known:
        raise InvalidError("there is no conversation of an export we know in this zip")


def _conversations(read: Callable[[int], bytes], owner: str, now: datetime, bounds: Bounds) -> Iterator[Found]:
    """Those of one member; what is something else, of which an export has several, is passed over."""
    found = _in_document(read, owner, now, bounds)
    try:
        first = next(found, None)
    except TooMuchError:
        raise
    except InvalidError:
        return
    if isinstance(first, Found):
        yield first
        for one in found:
            yield one if isinstance(one, Found) else STRANGE


def _files_in(packed: zipfile.ZipFile, meter: _Meter) -> Iterator[FoundFile]:
    """The files of our own zip, as its index names them."""
    names = set(packed.namelist())
    if INDEX not in names:
        return
    index = _indexed(meter.of(_opened(packed, packed.getinfo(INDEX))))
    # No more of them than there are names; what goes on is not ours.
    for file in islice(index, len(names)):
        if FOLDER + file.id in names:
            member = packed.getinfo(FOLDER + file.id)
            read = meter.of(_opened(packed, member))
            yield FoundFile(file, iter(partial(read, READ_FILE), b""), member.compress_size)


def _indexed(read: Callable[[int], bytes]) -> Iterator[ExportedFile]:
    try:
        for piece in split(read, INDEXED_FILE):
            if isinstance(piece, bytes):
                yield _file_of(piece)
    except (InvalidError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return  # Somebody else's, of that name.


def _opened(packed: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    if member.flag_bits & 0x1:
        raise InvalidError("the zip is locked with a password: unpack it, and send what is in it")
    if member.compress_type not in _METHODS:
        raise InvalidError("the zip is packed in a way we do not unpack: pack it anew, with the ordinary one")
    return packed.open(member)


def _check_directory(file: IO[bytes]) -> None:
    """Look at the directory before all of it is read. Raises ``InvalidError``."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 65_557))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise InvalidError("the zip is cut off: its directory is missing")
    names, length = struct.unpack_from("<HI", tail, at + 10)
    if tail[max(at - 20, 0) : at].startswith(b"PK\x06\x07"):
        # Of a large archive the true figures stand before, and are the ones that are believed.
        if at < 76 or tail[at - 76 : at - 72] != b"PK\x06\x06":
            raise InvalidError("the zip is damaged: its directory is not where it should be")
        names, length = struct.unpack_from("<QQ", tail, at - 76 + 32)
    if names > DIRECTORY_NAMES or length > DIRECTORY_BYTES:
        raise InvalidError(f"the zip holds more than {DIRECTORY_NAMES} files: send the one with the conversations")


class _Meter:
    """Counts what is unpacked, of whichever members."""

    def __init__(self, left: int) -> None:
        self._left = left

    def of(self, file: IO[bytes]) -> Callable[[int], bytes]:
        """What reads ``file`` and counts. It raises ``TooMuchError``."""

        def read(size: int) -> bytes:
            data = file.read(size)
            self._left -= len(data)
            if self._left < 0:
                raise TooMuchError("the zip unpacks to more than may be (import_max_unpacked_bytes): send it in parts")
            return data

        return read


# --- documents ---------------------------------------------------------------------------------------------------


class _Shape(msgspec.Struct):
    """By what the exports are told apart."""

    mapping: Raw | UnsetType = UNSET
    chat_messages: Raw | UnsetType = UNSET
    conversation: Raw | UnsetType = UNSET
    conversations: Raw | UnsetType = UNSET


_file_of = msgspec.json.Decoder(ExportedFile).decode
_shape_of = msgspec.json.Decoder(_Shape).decode


def _in_document(read: Callable[[int], bytes], owner: str, now: datetime, bounds: Bounds) -> Iterator[Found | Unknown]:
    place = 0
    for piece in split(read, bounds.conversation):
        if isinstance(piece, Refused):
            yield Found(detail=f"it is {piece.detail}")
            continue
        for one in _unwrapped(piece, bounds.conversation):
            yield one if isinstance(one, Found) else _read(one, place, owner, now)
            place += 1


def _unwrapped(piece: bytes, most: int) -> Iterator[bytes | Found]:
    """An object that holds conversations is taken apart."""
    try:
        shape = _shape_of(piece)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        yield piece
        return
    held = b"" if isinstance(shape.conversations, UnsetType) else bytes(shape.conversations)
    if not held.startswith(b"["):
        yield piece
        return
    for one in split(io.BytesIO(held).read, most):
        yield Found(detail=f"it is {one.detail}") if isinstance(one, Refused) else one


def _read(piece: bytes, place: int, owner: str, now: datetime) -> Found | Unknown:
    source: str | None = None
    try:
        shape = _shape_of(piece)
        if not isinstance(shape.mapping, UnsetType):
            source = "chatgpt"
            check_elements(bytes(shape.mapping), MOST_MESSAGES)
            return _found(source, beginning_of(read_chatgpt(piece, place, now), owner, now))
        if not isinstance(shape.chat_messages, UnsetType):
            source = "claude"
            check_elements(bytes(shape.chat_messages), MOST_MESSAGES)
            return _found(source, beginning_of(read_claude(piece, place, now), owner, now))
        if not isinstance(shape.conversation, UnsetType):
            source = OURS
            return _found(source, read_ours(piece, owner, now))
    except TrialogueError as error:
        return Found(source, detail=error.detail)
    except msgspec.ValidationError as error:
        # Of a known shape, or an object at all: it was meant as one.
        return Found(source, detail=f"it is not as an export has it: {error}") if source else Unknown()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Found(source, detail=f"it is not JSON in UTF-8: {error}")
    except (RecursionError, OverflowError, ValueError) as error:
        return Found(source, detail=f"it cannot be read: {type(error).__name__}")
    return Unknown()


def _found(source: str, beginning: Beginning) -> Found:
    return Found(source, beginning, title=beginning.header.title)
