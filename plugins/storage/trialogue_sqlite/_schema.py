"""The schema: brought up to date under the folder's lock, and verified, before anything is served.

Each migration is a numbered file, applied in one transaction together with its record, so that an interrupted start goes on
where it was. What was applied is compared with what this version would apply; a difference is refused in words.
"""

from __future__ import annotations

import hashlib
import time
from importlib import resources
from pathlib import Path

import apsw
import msgspec

from trialogue import ConfigurationError
from trialogue_sqlite._driver import Connection

#: "Tril", in the header of every database of ours.
APPLICATION = 0x5472696C
#: Longest look for damage at the start, in seconds; a large database is looked at in part.
LOOK = 1.0

_RECORD = """
CREATE TABLE IF NOT EXISTS migration (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied INTEGER NOT NULL
)
"""


class Migration(msgspec.Struct, frozen=True):
    """One step, as the package has it."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """All steps of this version, in order."""
    folder = resources.files("trialogue_sqlite") / "migrations"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return [Migration(int(f.name[:4]), f.name, f.read_text(encoding="utf-8")) for f in files]


def migrate(connection: Connection, path: Path, steps: list[Migration]) -> None:
    """Verify the database, then apply the steps that are missing. Raises ``ConfigurationError``."""
    try:
        _refuse_foreign(connection, path)
        applied = _applied(connection)
        verify(applied, path, steps)
        for step in steps[len(applied) :]:
            _apply(connection, step)
        _look_for_damage(connection, path)
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise _damaged(path, str(error)) from error
    except apsw.Error as error:
        raise ConfigurationError(f"{str(path)!r} cannot be opened ({error}): look at the file and its disk") from error


def _refuse_foreign(connection: Connection, path: Path) -> None:
    application = connection.pragma("application_id")
    if application != APPLICATION and (application or connection.pragma("schema_version")):
        raise ConfigurationError(f"{str(path)!r} is a database of something else: name another file")


def _applied(connection: Connection) -> dict[int, str]:
    if connection.pragma("application_id") != APPLICATION:
        return {}
    return dict(connection.execute("SELECT number, checksum FROM migration ORDER BY number").fetchall())


def verify(applied: dict[int, str], path: Path, steps: list[Migration]) -> None:
    """Raise ``ConfigurationError`` if what was applied is not what this version would apply, as far as it goes."""
    known = {step.number: step.checksum for step in steps}
    if applied and max(applied) > max(known, default=0):
        raise ConfigurationError(
            f"{str(path)!r} was written by a newer version (schema {max(applied)}, this one knows {max(known, default=0)}): "
            "start that version, or restore the backup made before the upgrade"
        )
    for number, checksum in applied.items():
        if known.get(number) != checksum:
            raise ConfigurationError(
                f"migration {number} of {str(path)!r} is not the one of this version: "
                "start the version that made it, or restore a backup"
            )


def _apply(connection: Connection, step: Migration) -> None:
    with connection:
        connection.execute(_RECORD)
        connection.execute(step.sql)
        connection.execute(
            "INSERT INTO migration VALUES (?, ?, ?, ?)", (step.number, step.name, step.checksum, int(time.time()))
        )
        connection.pragma("application_id", APPLICATION)
        connection.pragma("user_version", step.number)


def _look_for_damage(connection: Connection, path: Path) -> None:
    end = time.monotonic() + LOOK
    connection.set_progress_handler(lambda: time.monotonic() > end, 10_000)
    try:
        found = connection.execute("PRAGMA quick_check(1)").get
    except apsw.InterruptError:
        return  # As far as was looked, it is whole.
    finally:
        connection.set_progress_handler(None)
    if found != "ok":
        raise _damaged(path, str(found))


def _damaged(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(f"{str(path)!r} is damaged or no database ({why}): keep a copy, and restore a backup")
