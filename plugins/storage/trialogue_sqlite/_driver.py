"""The part of the driver that is used, with types. apsw's own stubs name ``collections.abc.Buffer``, which Python 3.11 has
not, so that a strict checker knows nothing of them there; rows are ``Any`` because only the statement says what is in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeAlias, cast

import apsw

Value: TypeAlias = int | float | str | bytes | None
Bindings: TypeAlias = Sequence[Value] | Mapping[str, Value]


class Rows(Protocol):
    """What a statement returns."""

    #: The only value of the only row, a tuple or list when there are more, ``None`` when there are no rows.
    get: Any

    def __iter__(self) -> Iterator[Any]: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class Matched(Protocol):
    """A row that full text found, as a function of ours sees it."""

    #: Ours to keep from row to row of one statement; ``None`` at first.
    aux_data: Any

    @property
    def phrases(self) -> tuple[tuple[str | None, ...], ...]: ...
    def column_size(self, col: int = ..., /) -> int: ...
    def phrase_column_offsets(self, phrase: int, column: int, /) -> list[int]: ...


class Connection(Protocol):
    """An open database. As a context manager it is a transaction, or a savepoint within one."""

    in_transaction: bool

    def execute(self, statements: str, bindings: Bindings = ..., /) -> Rows: ...
    def executemany(self, statements: str, bindings: Iterable[Bindings], /) -> Rows: ...
    def pragma(self, name: str, value: Value = ..., /) -> Any: ...
    def total_changes(self) -> int: ...
    def register_fts5_function(self, name: str, function: Callable[[Matched, int], float], /) -> None: ...
    def enable_load_extension(self, enable: bool, /) -> None: ...
    def load_extension(self, filename: str, /) -> None: ...
    def set_progress_handler(self, callable: Callable[[], bool] | None, nsteps: int = ..., /) -> None: ...
    def close(self, force: bool = ..., /) -> None: ...
    def __enter__(self) -> Connection: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool | None: ...


def connect(path: Path, *, write: bool) -> Connection:
    """Open a file that exists. Raises ``apsw.Error``."""
    flags = apsw.SQLITE_OPEN_READWRITE if write else apsw.SQLITE_OPEN_READONLY
    connection = cast("Connection", apsw.Connection(str(path), flags=flags, statementcachesize=200))
    connection.pragma("temp_store", "memory")
    connection.pragma("mmap_size", 0)  # A damaged or cut off file is an error then, never a signal.
    return connection
