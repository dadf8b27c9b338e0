"""The core's public names are what its ``__init__`` imports, each under its own name, and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import trialogue

SOURCE = Path(__file__).parents[1] / "core/trialogue/__init__.py"


def imported() -> list[tuple[str, str]]:
    body = ast.parse(SOURCE.read_text()).body
    return [(one.name, one.asname or "") for node in body if isinstance(node, ast.ImportFrom) for one in node.names]


def test_all_is_what_is_imported() -> None:
    assert set(trialogue.__all__) == {name for name, _ in imported()}


def test_all_is_sorted_and_without_repetition() -> None:
    assert trialogue.__all__ == sorted(set(trialogue.__all__))


def test_each_is_exported_explicitly() -> None:
    """``import X as X`` is what type checkers take for an export."""
    assert [pair for pair in imported() if pair[0] != pair[1]] == []


def test_each_is_documented() -> None:
    """Classes and functions; an alias is documented where it is made."""
    public = {name: getattr(trialogue, name) for name in trialogue.__all__}
    ours = {name: value for name, value in public.items() if getattr(value, "__module__", "").startswith("trialogue")}
    assert [name for name, value in ours.items() if not value.__doc__] == []
