"""Opening a database: whether it is one that we can use, its schema, its identity, and whether it has gone backwards.

It has when it is another server's than before, or one that was promoted since, which PostgreSQL counts as its
timeline, or when its tables were made anew, as from a dump: what it lacks then, clients may have seen (I12). Two
things it does not notice: a folder that is put back behind PostgreSQL's back, and rows that are put back into tables
that stayed.
"""

from __future__ import annotations

import logging

import msgspec
import psycopg

from trialogue import ConfigurationError, StorageError, new_id
from trialogue_postgres import _sql as sql
from trialogue_postgres._connection import TrioConnection
from trialogue_postgres._database import Database, first_row, rows, send
from trialogue_postgres._errors import words_of
from trialogue_postgres._extensions import use_extension
from trialogue_postgres._schema import Migration, migrate, migrations, take_lock

#: The oldest version that is supported; tests run on this one and on later ones.
OLDEST = 16

_ABOUT = """
SELECT current_setting('server_version_num')::bigint / 10000, current_setting('server_encoding'), current_schema()::text,
    pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'
"""
_TIMELINE = "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
_SYSTEM = "SELECT system_identifier::text FROM pg_control_system()"
_TABLE = "SELECT 'log'::regclass::oid::text"
_SEES_VECTORS = "SELECT to_regtype('vector') IS NOT NULL"
#: Where to make the extension when it is nowhere yet: where other schemas of the database see it too, if we see that.
_VECTOR_HOME = """
SELECT quote_ident(CASE WHEN 'public' = ANY (current_schemas(false)) THEN 'public' ELSE current_schema() END)
FROM pg_available_extensions WHERE name = 'vector' AND installed_version IS NULL
"""

_log = logging.getLogger("trialogue.postgres")


class Opened(msgspec.Struct, frozen=True):
    """What a store is told of its database."""

    #: The store's id, which stays with the database wherever it goes.
    id: str
    generation: int
    #: Whether it has vectors, without which there is no search by meaning.
    has_vectors: bool
    #: Whether PostGIS is there, so that places are looked for as they lie on a sphere.
    has_geography: bool


async def open_database(database: Database, place: str, steps: list[Migration] | None = None) -> Opened:
    """Check it, bring it up to date, and count this start. Raises ``ConfigurationError``."""

    async def prepare(connection: TrioConnection) -> Opened:
        await check(connection, place)
        await migrate(connection, place, migrations() if steps is None else steps)
        has_vectors = await _has_vectors(connection) and await use_extension(connection, "vector")
        has_geography = await use_extension(connection, "postgis")
        return Opened(*await _count(connection), has_vectors, has_geography)

    try:
        opened = await database.write(prepare)
    except StorageError as error:
        raise ConfigurationError(f"the database {place} cannot be used: {error}") from error
    if not opened.has_vectors:
        _log.warning(
            "%s has no extension vector: there is no search by meaning; install pgvector on the server, let an "
            "administrator CREATE EXTENSION vector in it, and start again",
            place,
        )
    return opened


async def check(connection: TrioConnection, place: str) -> None:
    """Raise ``ConfigurationError`` for a database that we cannot use."""
    about = await first_row(connection, _ABOUT)
    assert about is not None, "it has no FROM"
    version, encoding, schema, is_read_only = about
    if version < OLDEST:
        raise ConfigurationError(f"{place} is PostgreSQL {version}, which is too old: {OLDEST} or newer is needed")
    if is_read_only:
        raise ConfigurationError(
            f"{place} takes no writes (a replica, or read-only): name the primary in storage_url, or all hosts with "
            "?target_session_attrs=read-write"
        )
    if encoding != "UTF8":
        raise ConfigurationError(f"{place} holds texts as {encoding}: create the database with ENCODING 'UTF8'")
    if schema is None:
        raise ConfigurationError(f"{place} lacks the schema that search_path names: create it, or name another one")


async def _has_vectors(connection: TrioConnection) -> bool:
    """Whether vectors can be kept; makes the extension when the server has it and we may."""
    home = await first_row(connection, _VECTOR_HOME)
    if home is not None:
        try:
            async with connection.transaction():
                await send(connection, f"CREATE EXTENSION vector SCHEMA {home[0]}")
        except psycopg.Error as error:
            _log.info("the extension vector was not created: %s", words_of(error))
    return bool((await rows(connection, _SEES_VECTORS))[0][0])


async def count_again(connection: TrioConnection) -> int:
    """The generation, raised if the database is elsewhere than it was: as at a start."""
    async with connection.transaction():
        await take_lock(connection)
        return (await _count(connection))[1]


async def _count(connection: TrioConnection) -> tuple[str, int]:
    """Compare where the database is with where it was, and raise the generation if it was elsewhere; its id, and that."""
    facts: dict[str, str] = dict(await rows(connection, sql.FACTS))
    here, known = await _whereabouts(connection), facts.get("whereabouts")
    generation = int(facts.get("generation", 1)) + (known is not None and known != here)
    told = {
        "id": facts.get("id") or new_id(),
        "opened": str(int(facts.get("opened", 0)) + 1),
        "generation": str(generation),
        "whereabouts": here,
    }
    for key, value in told.items():
        await send(connection, sql.PUT_FACT, {"key": key, "value": value})
    return told["id"], generation


async def _whereabouts(connection: TrioConnection) -> str:
    """Which server this is, which branch of its history, and which table of that name."""
    parts: list[str] = []
    for statement in (_SYSTEM, _TIMELINE, _TABLE):
        try:
            async with connection.transaction():
                row = await first_row(connection, statement)
        except psycopg.errors.InsufficientPrivilege:
            row = None  # Some who rent servers out keep it to themselves.
        parts.append(str(row[0]) if row else "?")
    return "/".join(parts)
