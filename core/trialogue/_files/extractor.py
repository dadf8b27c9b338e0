"""The port to extractors: what is read out of a file, by functions that run in a process of their own."""

from __future__ import annotations

import msgspec


class Extractor(msgspec.Struct, frozen=True):
    """What a plugin declares: a function, and the media types it reads.

    ``function`` is written ``module:name`` and called in a child process of its own for each file, with little time and
    memory and nothing of the server in it: keep the import of that module, and of the package it is in, small. It is
    called with the file, open to be read in any order, and the number of code points of text that will be kept::

        def read(source: BinaryIO, characters: int) -> dict[str, object]:
            return {"text": source.read().decode()}

    It returns what it found, all of it optional: ``text``; ``detail``, a sentence about the reading; ``width``, ``height``;
    ``lat``, ``lon``, ``taken_at`` (an aware ``datetime``); and ``variants``, a list of dicts with ``kind`` (``thumbnail`` or
    ``preview``), ``media_type``, ``width``, ``height`` and ``data`` (the bytes). A ``ValueError`` says in a sentence why the
    file cannot be read, and is shown to its owner; whatever else happens, the process's death included, is told in general
    words. The function is never asked twice for the same file unless the server died meanwhile.
    """

    name: str
    #: Whole ones, as ``application/pdf``.
    media_types: tuple[str, ...]
    function: str
