"""What a file is, by its content: the first bytes decide, and a client's word or a name's ending never does.

A table of our own, because few kinds matter (what a page may show, what text can be read out of, what a person would
recognise in a list) and because a wrong answer must err on the dull side: what is not surely something is bytes.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

BYTES: Final = "application/octet-stream"
TEXT: Final = "text/plain"
#: So much of a file is looked at.
HEAD: Final = 65_536

_OFFICE = "application/vnd.openxmlformats-officedocument."
_SIGNATURES: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\x00", "application/x-xz"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"{\\rtf", "application/rtf"),
    (b"SQLite format 3\x00", "application/vnd.sqlite3"),
    (b"\x7fELF", "application/x-elf"),
    (b"MZ", "application/vnd.microsoft.portable-executable"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)
#: Of files that begin with their size and then ``ftyp``.
_BRANDS: Final = {b"avif": "image/avif", b"avis": "image/avif", b"heic": "image/heic", b"heix": "image/heic",
                  b"mif1": "image/heif", b"qt  ": "video/quicktime", b"M4A ": "audio/mp4"}  # fmt: skip
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_MARKUP: Final = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(!doctype\s+html|html|head|body|script|svg|!doctype\s+svg)\b",
    re.I | re.S,
)
_CONTROLS: Final = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def media_type_of(head: bytes, whole: bool) -> str:
    """The media type of a file that begins with ``head``, which is all of it if ``whole``."""
    for signature, media_type in _SIGNATURES:
        # Two letters alone are no signature: a text may begin so.
        if head.startswith(signature) and (len(signature) > 2 or _CONTROLS.search(head[:512])):
            return media_type
    if head.startswith(b"PK\x03\x04"):
        return _zip(head)
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head.startswith(b"RIFF") and head[8:12] in _RIFF:
        return _RIFF[head[8:12]]
    return _text(head, whole)


def _zip(head: bytes) -> str:
    # The first member of an OpenDocument or an e-book holds its media type, as it is.
    if head[30:38] == b"mimetype":
        size = int.from_bytes(head[18:22], "little")
        found = re.fullmatch(rb"application/[\w.+-]{1,80}", head[38 : 38 + min(size, 100)])
        return found[0].decode() if found else "application/zip"
    if b"[Content_Types].xml" in head or b"_rels/.rels" in head:
        for folder, kind in ((b"word/", "wordprocessingml.document"), (b"xl/", "spreadsheetml.sheet"),
                             (b"ppt/", "presentationml.presentation")):  # fmt: skip
            if folder in head:
                return _OFFICE + kind
    return "application/zip"


def _text(head: bytes, whole: bool) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return TEXT
    if _CONTROLS.search(head) or not head:
        return BYTES if head else TEXT
    found = _MARKUP.match(head.removeprefix(codecs.BOM_UTF8)[:4096])
    if found:
        return "image/svg+xml" if found[1].lower().endswith(b"svg") else "text/html"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, whole)
    except UnicodeDecodeError:
        # Text of the time before UTF-8 is mostly letters all the same.
        printable = sum(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head)
        return TEXT if printable > len(head) * 0.7 else BYTES
    return "application/xml" if head.lstrip().startswith(b"<?xml") else TEXT
