"""What a backup says of itself, so that it can be told whole from damaged, and ours from anything else."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec

from trialogue import ConfigurationError

MANIFEST = "manifest.json"
ROWS = "rows.jsonl.gz"


class Manifest(msgspec.Struct, frozen=True):
    """Of one backup. Digests are SHA-256, in hexadecimal."""

    format: int
    made_at: datetime
    #: The version that made it.
    version: str
    #: Where it is from: a kind of storage, a store, and what clients were told by.
    storage: str
    store: str
    generation: int
    #: Of ``rows.jsonl.gz``, and of the rows in it, which are the same for two stores with the same content.
    file_sha256: str
    rows_sha256: str
    #: How many rows of each kind there are.
    rows: dict[str, int]
    #: How many contents of files it needs, and their size.
    contents: int
    content_bytes: int
    #: Contents that were not there, or not whole, when it was made.
    missing: tuple[str, ...] = ()


def read_manifest(backup: Path) -> Manifest:
    """Of the backup in this folder. Raises ``ConfigurationError``."""
    path = backup / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except OSError as error:
        raise ConfigurationError(f"{str(backup)!r} is no backup ({error}): name the folder of one") from error
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{str(path)!r} is damaged ({error}): name another backup") from error
    if manifest.format != 1:
        raise ConfigurationError(f"{str(path)!r} has format {manifest.format}: use the version that made it, or newer")
    return manifest


def backups_in(place: Path) -> list[Path]:
    """The complete ones, oldest first."""
    return sorted(path.parent for path in place.glob(f"[0-9]*/{MANIFEST}"))
