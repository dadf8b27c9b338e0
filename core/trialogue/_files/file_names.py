"""Names of files as people may see them: a client's name without folders, tricks and what cannot be shown."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

#: Bytes of a name, in UTF-8: what file systems take, for those who save it.
LONGEST: Final = 200
NAMELESS: Final = "file"

#: Marks that turn the direction of what follows, so that "exe.gpj" reads "jpg.exe"; and those that are not seen at all.
_DIRECTIONS = "\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
_UNSEEN = re.compile(f"[{_DIRECTIONS}\U000e0000-\U000e007f]")


def clean_name(name: str) -> str:
    """The last step of a path, in one line, composed, bounded, never empty; its ending is kept when it is cut."""
    name = unicodedata.normalize("NFC", name.encode(errors="replace").decode())
    name = name.replace("\\", "/").rpartition("/")[2]
    name = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in _UNSEEN.sub("", name))
    name = " ".join(name.split()).strip(". ")
    return _cut(name) or NAMELESS


def _cut(name: str) -> str:
    if len(name.encode()) <= LONGEST:
        return name
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending.encode()) > 20:
        stem, ending = name, ""
    else:
        ending = dot + ending
    return stem.encode()[: LONGEST - len(ending.encode())].decode(errors="ignore").rstrip(". ") + ending
