"""The schema: brought up to date in one transaction, under a lock that keeps other starts out, and verified.

Each migration is a numbered file, recorded with its checksum. What was applied is compared with what this version would
apply; a difference is refused in words. All tables stand in one schema, the first of the connection's ``search_path``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Generator
from contextlib import contextmanager
from importlib import resources

import msgspec
import psycopg

from trialogue import ConfigurationError
from trialogue_postgres._connection import TrioConnection
from trialogue_postgres._database import first_row, rows, send
from trialogue_postgres._errors import words_of

#: "Tril": the first half of the lock's key, the second is the schema's.
LOCK = 0x5472696C

#: Patience, for a migration that takes long and for the lock, while another start migrates.
LOCK_SECONDS = 120
_PATIENCE = (
    f"SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '{LOCK_SECONDS}s'; SET LOCAL enable_seqscan = on"
)
_TAKE_LOCK = f"SELECT pg_advisory_xact_lock({LOCK}, hashtext(current_schema()))"
_TABLES = """
SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
AND NOT EXISTS (
    SELECT 1 FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
)
"""
#: What makes a table of this name ours.
_COLUMNS = """
SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute
WHERE attrelid = to_regclass(quote_ident(current_schema()) || '.migration') AND attnum > 0
"""
_RECORD = """
CREATE TABLE migration (
    number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied timestamptz NOT NULL DEFAULT now()
)
"""
_APPLIED = "SELECT number, checksum FROM migration ORDER BY number"
_NOTE = "INSERT INTO migration VALUES (%(number)s, %(name)s, %(checksum)s)"


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
    files = resources.files("trialogue_postgres").joinpath("migrations").iterdir()
    names = sorted(file.name for file in files if file.name.endswith(".sql"))
    return [_migration(name) for name in names]


def _migration(name: str) -> Migration:
    text = resources.files("trialogue_postgres").joinpath("migrations", name).read_text("utf-8")
    return Migration(int(name.partition("_")[0]), name, text)


async def take_lock(connection: TrioConnection) -> None:
    """Within a transaction: have nobody else bring the schema up to date, or count a start, until its end."""
    await send(connection, _TAKE_LOCK)


async def migrate(connection: TrioConnection, place: str, steps: list[Migration]) -> None:
    """Within a transaction: apply what is missing. Raises ``ConfigurationError``."""
    await connection.execute(_PATIENCE.encode())
    with _patient(connection, LOCK_SECONDS + connection.patience):
        await take_lock(connection)
    applied = await applied_steps(connection, place)
    verify(applied, place, steps)
    try:
        if not applied:
            await send(connection, _RECORD)
        for step in steps:
            if step.number not in applied:
                with _patient(connection, math.inf):
                    await connection.execute(step.sql.encode())
                note = {"number": step.number, "name": step.name, "checksum": step.checksum}
                await send(connection, _NOTE, note)
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"our user may not bring the schema of {place} up to date ({words_of(error)}): let it own the schema, or grant "
            "it CREATE, for this start"
        ) from error


@contextmanager
def _patient(connection: TrioConnection, seconds: float) -> Generator[None]:
    usual, connection.patience = connection.patience, seconds
    try:
        yield
    finally:
        connection.patience = usual


async def applied_steps(connection: TrioConnection, place: str) -> dict[int, str]:
    """Numbers and checksums of what was applied. Raises ``ConfigurationError`` for tables of something else."""
    tables = {name for (name,) in await rows(connection, _TABLES)}
    if not tables:
        return {}
    found = await first_row(connection, _COLUMNS)
    if "migration" not in tables or not found or (found[0] or [])[:3] != ["number", "name", "checksum"]:
        raise ConfigurationError(
            f"{place} holds tables of something else ({', '.join(sorted(tables)[:3])}): name another database, or a schema "
            "of ours with ?options=-csearch_path=..."
        )
    return dict(await rows(connection, _APPLIED))


def verify(applied: dict[int, str], place: str, steps: list[Migration]) -> None:
    """Raise ``ConfigurationError`` if what was applied is not what this version would apply, as far as it goes."""
    known = {step.number: step.checksum for step in steps}
    if applied and max(applied) > max(known, default=0):
        raise ConfigurationError(
            f"{place} was brought up to date by a newer version (schema {max(applied)}, this one knows "
            f"{max(known, default=0)}): start that version, or restore the backup made before the upgrade"
        )
    for number, checksum in applied.items():
        if known.get(number) != checksum:
            raise ConfigurationError(
                f"migration {number} of {place} is not the one of this version: start the version that made it, or restore "
                "a backup"
            )
