"""A look at a database that changes nothing in it: whether it can be reached and used, its schema, and its clock."""

from __future__ import annotations

import time
from collections.abc import Sequence

import trio

from trialogue import ConfigurationError, Finding, StorageError
from trialogue_postgres._connection import TrioConnection
from trialogue_postgres._database import Database
from trialogue_postgres._opening import check
from trialogue_postgres._schema import applied_steps, migrations, verify
from trialogue_postgres._url import Address

#: Seconds for all of it.
PATIENCE = 15.0
#: Seconds that clocks may differ before leases and tokens that expire suffer.
SKEW = 2.0

WHAT = "storage"
_NOW = "SELECT extract(epoch FROM clock_timestamp())::float8"
_CONNECTIONS = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
    (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend')
"""


async def look(address: Address) -> Sequence[Finding]:
    """What there is to say of the database at ``address``."""
    database = Database(address)
    found: list[Finding] = []
    try:
        with trio.fail_after(PATIENCE):
            await _look(database, address, found)
    except (ConfigurationError, StorageError, trio.TooSlowError) as error:
        words = str(error) or f"it did not answer within {PATIENCE:g} s"
        fix = "" if isinstance(error, ConfigurationError) else "see that it runs, and that storage_url leads to it"
        found.append(_wrong(words, fix))
    finally:
        database.close()
    return found


async def _look(database: Database, address: Address, found: list[Finding]) -> None:
    place = str(address)
    applied = await database.write(lambda connection: _prepared(connection, place))
    steps = migrations()
    if applied:
        verify(applied, place, steps)
    missing = len(steps) - len(applied)
    if missing and applied:
        detail = f"{place} lacks {missing} migrations, which the next start applies"
        found.append(Finding(WHAT, "doubtful", detail, "make a backup before that start"))
    elif missing:
        found.append(Finding(WHAT, "right", f"{place} can be used, and is empty: the first start makes its tables"))
    else:
        found.append(Finding(WHAT, "right", f"{place} is up to date (schema {max(applied)})"))
    found.append(await _of_clock(database))
    most, open_now = (await database.read(_CONNECTIONS))[0]
    if open_now + address.connections > most:
        detail = (
            f"{open_now} of {most} connections of {place} are open, and a process takes up to {address.connections}"
        )
        fix = "raise max_connections, or lower connections= in storage_url"
        found.append(Finding("connections", "doubtful", detail, fix))


async def _prepared(connection: TrioConnection, place: str) -> dict[int, str]:
    await check(connection, place)
    return await applied_steps(connection, place)


async def _of_clock(database: Database) -> Finding:
    before = time.time()
    theirs = float((await database.read(_NOW))[0][0])
    off = theirs - (before + time.time()) / 2
    if abs(off) > SKEW:
        detail = f"the database's clock and this machine's differ by {off:+.1f} s"
        return Finding("clock", "wrong", detail, "let both be set by the same time servers (timedatectl set-ntp true)")
    return Finding("clock", "right", f"the database's differs from this machine's by {abs(off):.2f} s")


def _wrong(detail: str, fix: str = "") -> Finding:
    # Our own errors end with what to do, after the last colon.
    if not fix:
        detail, _, fix = detail.rpartition(": ")
    return Finding(WHAT, "wrong", detail, fix)
