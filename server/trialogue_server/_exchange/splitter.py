"""Cuts a large JSON document into the conversations in it, without ever holding more than one.

Our own scanner and not a library's, because a streaming parser stops for good at the first mistake, while here the rest of
the document is to be taken in; and because what is cut out is decoded whole, at once, into typed values, which is many times
faster than building it from a parser's events. It looks at nothing but strings, brackets and braces; what is whole within
the bytes at hand, and nested a few levels deep, is passed over by one regular expression.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec

from trialogue import InvalidError, LimitError
from trialogue_server._exchange.document import VERSION

#: Bytes read at a time.
READ = 65_536
#: Deeper than any export nests, and far below what a decoder's recursion bears.
DEEPEST = 100

#: The rest of a string, up to its closing quote or the end of what is there.
_IN_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)


def _balanced(levels: int) -> bytes:
    """A pattern for one value in brackets, whole and nested at most so deep. Nothing in it is ever tried twice."""
    if levels == 0:
        return rb"(?!)"
    return rb"[{\[](?:%b|%b)*+[}\]]" % (_TEXT, _balanced(levels - 1))


_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TEXT = rb'[^"{}\[\]]++|' + _STRING
#: As deep as most conversations are.
_LEVELS = 8
#: Within a piece: up to what closes it, or is not whole. Between pieces a comma counts as well.
_WITHIN = re.compile(rb"(?:%b|%b)*+" % (_TEXT, _balanced(_LEVELS)), re.DOTALL)
_BETWEEN = re.compile(rb'(?:[^"{}\[\],]++|%b|%b)*+' % (_STRING, _balanced(_LEVELS)), re.DOTALL)
#: The beginning of our own document, as we write it: its conversations are an array further in.
_OURS = re.compile(
    rb'\s*\{\s*"format"\s*:\s*"trialogue"\s*,\s*"version"\s*:\s*(\d{1,9})\s*,\s*"conversations"\s*:\s*\['
)
_OPENING = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}


class NoDocumentError(InvalidError):
    """It does not even begin as JSON that could hold a conversation."""


class Refused(msgspec.Struct, frozen=True):
    """A piece that was passed over, and why."""

    detail: str


def split(read: Callable[[int], bytes], most: int) -> Iterator[bytes | Refused]:
    """The elements of the array in the document that ``read`` gives, or the document itself when it is an object.

    A piece of more than ``most`` bytes, or nested too deeply, is passed over. Raises ``NoDocumentError``, and
    ``InvalidError`` for a document that is cut off, or newer than we are.
    """
    first = read(READ).removeprefix(b"\xef\xbb\xbf")
    while first and not first.strip():
        first = read(READ)
    ours = _OURS.match(first)
    scanner = _Scanner(most)
    if ours is not None:
        if int(ours[1]) > VERSION:
            raise InvalidError(f"the document has version {int(ours[1])}, this server reads up to {VERSION}: update it")
        scanner.inside = True
        yield from scanner.feed(first[ours.end() :])
    elif first.lstrip()[:1] == b"[":
        scanner.inside = True
        yield from scanner.feed(first[first.index(b"[") + 1 :])
    elif first.lstrip()[:1] == b"{":
        yield from scanner.feed(first.lstrip())
    else:
        raise NoDocumentError("this is no JSON document: it begins with neither [ nor {")
    while not scanner.over and (data := read(READ)):
        yield from scanner.feed(data)
    if not scanner.over:
        raise InvalidError("the document is cut off before its end: what stands before was looked at")


def check_elements(value: bytes, most: int) -> None:
    """Raise ``LimitError`` if the array or the object in ``value`` has more than ``most`` elements.

    An element takes as few as two bytes, and a hundred times as many once something is made of it.
    """
    scanner = _Scanner(len(value))
    scanner.inside = True
    for number, _ in enumerate(scanner.feed(value.partition(value[:1])[2])):
        if number >= most:
            raise LimitError(f"it has more than {most} messages: nobody has written so many")


class _Scanner:
    """Where the scan stands. ``inside`` an array each element is a piece; otherwise the one value there is."""

    def __init__(self, most: int) -> None:
        self.inside = False
        self.over = False
        self._most = most
        self._piece: list[bytes] = []
        self._size = 0
        self._refused = ""
        self._depth = 0
        self._string = False
        # The last byte seen was a backslash within a string.
        self._escaped = False

    def feed(self, data: bytes) -> Iterator[bytes | Refused]:
        """The pieces that end in ``data``."""
        at = begin = 0
        while at < len(data) and not self.over:
            if self._string:
                at = self._skip_string(data, at)
                continue
            if self._depth or self.inside:
                found = (_WITHIN if self._depth else _BETWEEN).match(data, at)
                at = found.end() if found else at
            if at == len(data):
                break
            mark, at = data[at], at + 1
            if mark == ord('"'):
                self._string = True
            elif mark == ord(","):
                if self.inside:
                    yield from self._cut(data[begin : at - 1])
                    begin = at
            elif self._depth == 0 and _OPENING[mark] < 0:
                yield from self._cut(data[begin : at - 1])
                self.over = True
            else:
                self._nest(_OPENING[mark])
                if self._depth == 0 and not self.inside:
                    yield from self._cut(data[begin:at])
                    self.over = True
        if not self.over:
            self._keep(data[begin:])

    def _skip_string(self, data: bytes, at: int) -> int:
        if self._escaped:
            self._escaped = False
            return at + 1
        found = _IN_STRING.match(data, at)
        end = found.end() if found else at
        if end < len(data):
            # A quote, or a backslash whose other half is in the next bytes.
            self._string = data[end] != ord('"')
            self._escaped = self._string
            end += 1
        return end

    def _nest(self, step: int) -> None:
        self._depth += step
        if self._depth > DEEPEST:
            self._refuse(f"nested deeper than {DEEPEST} levels")

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._most:
            self._refuse(f"larger than {self._most} bytes (import_conversation_bytes)")
        if not self._refused:
            self._piece.append(data)

    def _refuse(self, why: str) -> None:
        self._refused = self._refused or why
        self._piece.clear()

    def _cut(self, data: bytes) -> Iterator[bytes | Refused]:
        self._keep(data)
        piece, refused = b"".join(self._piece).strip(), self._refused
        self._piece, self._size, self._refused = [], 0, ""
        if refused:
            yield Refused(refused)
        elif piece:
            yield piece
