"""Results: rows with a figure, what it is held against, and whether it is good enough; a table and a JSON file of them."""

from __future__ import annotations

import json
import operator
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_HOLDS: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}


@dataclass(frozen=True)
class Row:
    """One figure. ``target`` is a comparison such as ``<= 0.5``; without one the figure is for information."""

    benchmark: str
    measure: str
    value: float
    unit: str
    target: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; ``None`` without one."""
        if not self.target:
            return None
        sign, _, bound = self.target.partition(" ")
        return _HOLDS[sign](self.value, float(bound))


def show(rows: Sequence[Row]) -> str:
    """The rows as a table."""
    lines = [("benchmark", "measure", "value", "target", "")]
    for row in rows:
        verdict = {None: "", True: "ok", False: "MISSED"}[row.met]
        lines.append((row.benchmark, row.measure, f"{row.value:,.4g} {row.unit}".strip(), row.target, verdict))
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def write(rows: Sequence[Row], folder: Path) -> Path:
    """Write ``latest.json`` and return its path."""
    folder.mkdir(exist_ok=True)
    path = folder / "latest.json"
    document = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"system": platform.platform(), "python": platform.python_version()},
        "rows": [asdict(row) | {"met": row.met} for row in rows],
    }
    path.write_text(json.dumps(document, indent=2) + "\n")
    return path
