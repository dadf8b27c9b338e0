"""The rows of a store as a compressed file: written, and read again in chunks of whole lines. All of it blocks."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from trialogue import AboutRecord, ConfigurationError, FileRecord, InvalidError, decode_records

#: Bytes that are read at once.
PIECE = 256 * 1024
_FILE = b'{"kind":"file"'


class Tally:
    """Counts and digests of rows that pass by, and which contents they need."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        #: Contents by digest, with their size.
        self.contents: dict[str, int] = {}
        self.about: AboutRecord | None = None
        self._digest = hashlib.sha256()

    def take(self, chunk: bytes) -> None:
        """The next lines. Raises ``InvalidError`` for what are none."""
        if self.about is None:
            first, _, chunk = chunk.partition(b"\n")
            (record,) = decode_records(first)
            if not isinstance(record, AboutRecord):
                raise InvalidError("the first row does not say where the rows are from: this is no dump")
            self.about = record
        self._digest.update(chunk)
        for line in chunk.splitlines():
            self.counts[line[9 : line.index(b'"', 9)].decode()] += 1
            if line.startswith(_FILE):
                self._take_file(line)

    def _take_file(self, line: bytes) -> None:
        for record in decode_records(line):
            if isinstance(record, FileRecord):
                file = record.file
                self.contents |= {file.sha256: file.size, **{one.sha256: one.size for one in file.variants}}

    @property
    def sha256(self) -> str:
        """Of all rows but the first, which says where they are from."""
        return self._digest.hexdigest()


class RowsFile:
    """A file that is being written. Raises ``OSError``."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")
        path.chmod(0o600)
        # Without a name and a time in it: the same rows give the same file.
        self._zip = gzip.GzipFile("", "wb", 1, self._file, 0)
        self.tally = Tally()

    def write(self, chunk: bytes) -> None:
        self.tally.take(chunk)
        self._zip.write(chunk)

    def finish(self) -> None:
        """Durably."""
        self._zip.close()
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def read_rows(path: Path) -> Iterator[bytes]:
    """Chunks of whole lines. Raises ``ConfigurationError`` for a file that is cut off or damaged."""
    rest = b""
    try:
        with gzip.open(path, "rb") as file:
            while piece := file.read(PIECE):
                lines, end, rest_of_it = (rest + piece).rpartition(b"\n")
                if lines:
                    yield lines + end
                rest = rest_of_it
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigurationError(f"{str(path)!r} is damaged ({error}): name another backup") from error
    if rest:
        raise ConfigurationError(f"{str(path)!r} is cut off: name another backup")


def sha256_of(path: Path) -> str:
    """Of a file as it is."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
