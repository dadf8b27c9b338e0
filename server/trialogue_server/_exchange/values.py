"""A foreign document's values, looked at before they are used: what is not of the kind that was hoped for is nothing."""

from __future__ import annotations

from typing import Any

# Any: whatever JSON can hold.


def fields_of(value: Any) -> dict[str, Any]:
    """An object."""
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType] - any JSON object


def list_of(value: Any) -> list[Any]:
    """An array."""
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType] - any JSON array


def objects_of(value: Any) -> list[dict[str, Any]]:
    """The objects in an array."""
    return [one for one in list_of(value) if isinstance(one, dict)]


def word_of(value: Any) -> str | None:
    """A text that says something."""
    return value if isinstance(value, str) and value else None
