"""Characters, in whatever encoding they came."""

from __future__ import annotations

import codecs
from typing import BinaryIO

#: Bytes that a character may take, in any of the encodings.
_WIDEST = 4
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read(source: BinaryIO, characters: int) -> dict[str, object]:
    """The text, as it is."""
    return {"text": decoded(source.read((characters + 1) * _WIDEST))}


def decoded(data: bytes) -> str:
    """``data`` as text: as its mark says, else UTF-8, else what Windows wrote before that."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(data)  # It may have been cut inside a character.
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")
