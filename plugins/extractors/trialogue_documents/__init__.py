"""What is read out of files: the text of documents, and of images their place, time, size and smaller pictures.

    _text    plain text, Markdown, code, tables: whatever is characters
    _html    pages, without what no reader sees
    _docx    Word's documents
    _pdf     PDFs, with pypdf
    _image   photographs and other pictures, with Pillow

Each function runs in a child process, which imports this package as well: it takes nothing of the server's. PDFs and images
are left unread where the extra ``files`` is not installed.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from trialogue import Extractor

# What ``trialogue.hookimpl`` is, without importing the server into every child.
hookimpl = pluggy.HookimplMarker("trialogue")

_DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/tiff", "image/avif")


@hookimpl
def trialogue_extractors() -> list[Extractor]:
    """An extractor for each kind of file that can be read here."""
    from trialogue import Extractor

    found = [
        Extractor("text", ("text/plain", "application/xml", "image/svg+xml"), "trialogue_documents._text:read"),
        Extractor("html", ("text/html",), "trialogue_documents._html:read"),
        Extractor("docx", (_DOCX,), "trialogue_documents._docx:read"),
    ]
    if find_spec("pypdf"):
        found.append(Extractor("pdf", ("application/pdf",), "trialogue_documents._pdf:read"))
    if find_spec("PIL"):
        found.append(Extractor("image", _IMAGES, "trialogue_documents._image:read"))
    return found
