"""Word's documents: a zip whose member ``word/document.xml`` holds the text. Macros and everything else are not looked at.

Read as a stream, by a parser that refuses a document type (and with it every entity), and up to a size: a document of a
few kilobytes may unpack to any number of gigabytes.
"""

from __future__ import annotations

import zipfile
from typing import BinaryIO
from xml.parsers import expat

#: Bytes of XML at most, and how many times its size in the zip.
LONGEST, DENSEST = 64 * 1024 * 1024, 400
_SPACE = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
#: Another name for the same, which Word writes on request.
_STRICT = "http://purl.oclc.org/ooxml/wordprocessingml/main"


class _Said:
    """Collects the text as the parser meets it."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.length = 0
        self._inside = False

    def start(self, name: str, _: object) -> None:
        space, _, tag = name.rpartition(" ")
        if space in (_SPACE, _STRICT):
            self._inside = tag == "t"
            if tag in ("tab", "br", "cr"):
                self.add("\t" if tag == "tab" else "\n")

    def end(self, name: str) -> None:
        self._inside = False
        if name.endswith(" p"):
            self.add("\n")
        elif name.endswith(" tc"):
            self.add("\t")

    def data(self, text: str) -> None:
        if self._inside:
            self.add(text)

    def add(self, text: str) -> None:
        self.pieces.append(text)
        self.length += len(text)


def read(source: BinaryIO, characters: int) -> dict[str, object]:
    """The text of a document, a line for each paragraph."""
    try:
        with zipfile.ZipFile(source) as archive:
            return {"text": _text(archive, characters)}
    except (zipfile.BadZipFile, KeyError, expat.ExpatError, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError("the document is damaged, or protected by a password") from error


def _text(archive: zipfile.ZipFile, characters: int) -> str:
    member = archive.getinfo("word/document.xml")
    if member.file_size > LONGEST or member.file_size > DENSEST * max(member.compress_size, 1024):
        raise ValueError("the document unpacks to far more than a document has")
    said = _Said()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = said.start, said.end
    parser.CharacterDataHandler = said.data
    parser.StartDoctypeDeclHandler = _refuse
    left = LONGEST
    with archive.open(member) as stream:
        while said.length <= characters and (piece := stream.read(65_536)):
            # What it says of its size is its own claim.
            left -= len(piece)
            if left < 0:
                raise ValueError("the document unpacks to far more than a document has")
            parser.Parse(piece, False)
    return "".join(said.pieces).strip()


def _refuse(*_: object) -> None:
    raise ValueError("the document declares a document type, which no word processor writes")
