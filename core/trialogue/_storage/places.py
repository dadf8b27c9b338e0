"""Cursors of lists: where a page ended, as text that means nothing to who gets it. For stores, so that all refuse the same.

What a place is, each list knows: a name, or a moment and a name where the order is that of time.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

from trialogue._facts.errors import InvalidError

_START = datetime(1970, 1, 1, tzinfo=UTC)
#: Microseconds from then to the first and to the last moment that there is a date for.
_FIRST = (datetime.min.replace(tzinfo=UTC) - _START) // timedelta(microseconds=1)
_LAST = (datetime.max.replace(tzinfo=UTC) - _START) // timedelta(microseconds=1)


def place_cursor(place: str) -> str:
    """The cursor for a place."""
    return base64.urlsafe_b64encode(place.encode()).decode()


def place_in(cursor: str) -> str:
    """The place in a cursor. Raises ``InvalidError`` for what is none."""
    try:
        return base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    except ValueError as error:  # Of base64 and UTF-8 alike.
        raise no_cursor(cursor) from error


def moment_cursor(micros: int, name: str) -> str:
    """The cursor for a row by its time, in microseconds since 1970, and its name."""
    return place_cursor(f"{micros} {name}")


def moment_in(cursor: str) -> tuple[int, str]:
    """The time and the name in a cursor. Raises ``InvalidError`` for what is none."""
    micros, _, name = place_in(cursor).partition(" ")
    try:
        number = int(micros)
    except ValueError as error:
        raise no_cursor(cursor) from error
    if not name or not _FIRST <= number <= _LAST:
        raise no_cursor(cursor)
    return number, name


def no_cursor(cursor: str) -> InvalidError:
    """What is to be said of a cursor that is none of ours."""
    return InvalidError(f"{cursor[:64]!r} is not a cursor of this list: leave it out to start over")
