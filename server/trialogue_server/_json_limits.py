"""Keeps clients' own JSON such that it can be written again as it was read, by this version and by the next one."""

from __future__ import annotations

from typing import Any

from trialogue import DataPart, InvalidError, LimitError

#: Far below what Python's recursion allows, so that the same value inside an event inside a snapshot is readable as well.
DEEPEST = 32
LARGEST_INTEGER = 2**63 - 1


def check_json(value: Any, pointer: str, depth: int = 0) -> None:  # Any JSON value: that is what is looked at.
    """Raises ``LimitError`` for nesting deeper than 32, ``InvalidError`` for integers that do not fit 64 bits."""
    if depth > DEEPEST:
        raise LimitError(f"nested deeper than {DEEPEST} levels: flatten it, or send it as text", pointer=pointer)
    match value:
        case bool() | None | str() | float():
            return
        case int():
            if abs(value) > LARGEST_INTEGER:
                raise InvalidError("an integer does not fit 64 bits: send it as text", pointer=pointer)
        case dict():
            for item in value.values():  # pyright: ignore[reportUnknownVariableType] - any JSON value
                check_json(item, pointer, depth + 1)
        case list() | tuple():
            for item in value:  # pyright: ignore[reportUnknownVariableType] - any JSON value
                check_json(item, pointer, depth + 1)
        case DataPart():
            check_json(value.data, pointer, depth + 1)
        case _:
            return
