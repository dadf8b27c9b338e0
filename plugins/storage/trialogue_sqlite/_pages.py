"""A page of rows: at most so many, and no more than so many bytes of them hold; but the first one whatever its size.

SQLite finds each row when it is asked for it: what a page has no room for is not read, but for the one row that shows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

Row: TypeAlias = tuple[Any, ...]  # Any: only the statement says what is in it; its last column is what is long.


def page_of(rows: Iterable[Row], limit: int, size: int) -> tuple[list[Row], bool]:
    """The first of ``rows``, and whether there are others."""
    page: list[Row] = []
    for row in rows:
        size -= _bytes(row[-1])
        if len(page) >= limit or (page and size < 0):
            return page, True
        page.append(row)
    return page, False


def _bytes(value: str | bytes) -> int:
    return len(value) if isinstance(value, bytes) or value.isascii() else len(value.encode())
