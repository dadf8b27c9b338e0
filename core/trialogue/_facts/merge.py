"""Merge patches, RFC 7396."""

from __future__ import annotations

from typing import Any


def merge_patch(target: Any, patch: Any) -> Any:  # Any JSON value on both sides.
    """``target`` with ``patch`` laid over it: ``null`` removes a member, an object is merged, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged: dict[str, Any] = dict(target) if isinstance(target, dict) else {}  # pyright: ignore[reportUnknownArgumentType]
    for name, value in patch.items():  # pyright: ignore[reportUnknownVariableType] - any JSON value
        if value is None:
            merged.pop(name, None)  # pyright: ignore[reportUnknownArgumentType]
        else:
            merged[name] = merge_patch(merged.get(name), value)  # pyright: ignore[reportUnknownArgumentType]
    return merged
