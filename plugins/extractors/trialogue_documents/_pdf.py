"""PDFs: the text of their pages. Pictures of text are not read."""

from __future__ import annotations

import logging
from typing import BinaryIO

from pypdf import PdfReader
from pypdf.errors import DependencyError, FileNotDecryptedError, PyPdfError

_ENCRYPTED = "the PDF is encrypted: remove its password, and upload it again"


def read(source: BinaryIO, characters: int) -> dict[str, object]:
    """The text of a PDF, a blank line between pages."""
    # It complains of every little thing that other readers forgive.
    logging.getLogger("pypdf").setLevel(logging.ERROR)
    try:
        text, pages = _text(source, characters)
    except (FileNotDecryptedError, DependencyError) as error:
        raise ValueError(_ENCRYPTED) from error
    except (PyPdfError, RecursionError, KeyError, TypeError, AttributeError, IndexError, OSError) as error:
        raise ValueError("the PDF is damaged") from error
    if pages and not text.strip():
        return {"detail": f"none of its {pages} pages holds text: they may be scanned"}
    return {"text": text}


def _text(source: BinaryIO, characters: int) -> tuple[str, int]:
    reader = PdfReader(source)
    # Many are encrypted without a password, only to forbid printing.
    if reader.is_encrypted and not reader.decrypt(""):
        raise FileNotDecryptedError(_ENCRYPTED)
    pieces: list[str] = []
    length = 0
    for page in reader.pages:
        pieces.append(page.extract_text().strip())
        length += len(pieces[-1]) + 2
        if length > characters:
            break
    return "\n\n".join(pieces), len(pieces)
