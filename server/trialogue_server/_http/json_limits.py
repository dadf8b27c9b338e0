"""Keeps clients' own JSON such that it can be written again as it was read, by this version and by the next one, and that
looking at it, which is done value by value, holds nobody up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trialogue import DataPart, InvalidError, LimitError, Settings

#: Far below what Python's recursion allows, so that the same value inside an event inside a snapshot is readable as well.
DEEPEST = 32
#: Values in all: some milliseconds of looking at, and of writing each time that what they belong to is stored.
MOST = 10_000
LARGEST_INTEGER = 2**63 - 1


def check_json(value: Any, pointer: str, depth: int = 0) -> int:  # Any JSON value: that is what is looked at.
    """How many values it is made of.

    Raises ``LimitError`` for nesting deeper than 32 and more than 10,000 values, ``InvalidError`` for integers that do not
    fit 64 bits.
    """
    if depth > DEEPEST:
        raise LimitError(f"nested deeper than {DEEPEST} levels: flatten it, or send it as text", pointer=pointer)
    match value:
        case int():
            if abs(value) > LARGEST_INTEGER:
                raise InvalidError("an integer does not fit 64 bits: send it as text", pointer=pointer)
        case dict():
            return 1 + _check_all(value.values(), pointer, depth)  # pyright: ignore[reportUnknownArgumentType] - any JSON
        case list() | tuple():
            return 1 + _check_all(value, pointer, depth)  # pyright: ignore[reportUnknownArgumentType] - any JSON value
        case Settings():
            schema = value.answer_schema
            return 1 if schema is None else check_json(schema.schema, pointer)
        case DataPart():
            return check_json(value.data, pointer, depth + 1)
        case _:
            pass
    return 1


def _check_all(values: Iterable[Any], pointer: str, depth: int) -> int:
    count = 0
    for value in values:
        count += check_json(value, pointer, depth + 1)
        if count > MOST:
            raise LimitError(f"more than {MOST} values: send less, or a file", pointer=pointer)
    return count
