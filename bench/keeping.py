"""What it takes to back up a store, to put it back, and to look whether it is sound.

States: the command needs at most 300 MB of memory. Rows a second are for information: they depend on the machine.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import fill
from bench.results import Row

NAME = "keeping"
#: Megabytes.
MEMORY = 300
#: Messages of one conversation, and what each says: 800 bytes, no two words of which follow each other often.
EACH = 100
TEXT = " ".join(f"word{number * 7919 % 997}" for number in range(110))


def run(quick: bool = False) -> list[Row]:
    """Fill a store, save it, put it back, and look whether it is sound."""
    count = 50 if quick else 200
    with TemporaryDirectory(prefix="trialogue-bench-") as name:
        folder = Path(name)
        data = folder / "data"
        fill.messages(data, "owner", [EACH] * count, TEXT)
        size = (data / "trialogue.db").stat().st_size
        made, saving = _db("backup", folder / "backups", data=data)
        rows = sum(made["manifest"]["rows"].values())
        saved = (Path(made["backup"]) / "rows.jsonl.gz").stat().st_size
        _, restoring = _db("restore", made["backup"], data=folder / "again")
        _, checking = _db("check", data=folder / "again")
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return [
        Row(NAME, "rows", rows, ""),
        Row(NAME, "database", size / 1e6, "MB"),
        Row(NAME, "backup, of the database", saved / size, ""),
        Row(NAME, "backup, verified", rows / saving, "rows/s"),
        Row(NAME, "restore", rows / restoring, "rows/s"),
        Row(NAME, "check", rows / checking, "rows/s"),
        Row(NAME, "memory, at most", memory, "MB", f"<= {MEMORY}"),
    ]


def _db(*arguments: str | Path, data: Path) -> tuple[Any, float]:  # Any: as the command says.
    command = [sys.executable, "-m", "trialogue_server", "db", *map(str, arguments), "--json", "--data-dir", str(data)]
    began = time.monotonic()
    ran = subprocess.run(command, capture_output=True, check=True, cwd=data.parent)
    return json.loads(ran.stdout), time.monotonic() - began
