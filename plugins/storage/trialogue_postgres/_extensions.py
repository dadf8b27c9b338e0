"""What needs an extension of PostgreSQL: tables and indexes that are made when it is there, whenever that is.

Their files are not numbered, as migrations are. Each may be given again, and is when it is not the one that was given last.
"""

from __future__ import annotations

import hashlib
import logging
from importlib import resources
from typing import Literal, TypeAlias

import psycopg

from trialogue_postgres import _sql as sql
from trialogue_postgres._connection import TrioConnection
from trialogue_postgres._database import first_row, send

Extension: TypeAlias = Literal["vector", "postgis"]

#: A type of each that is used; the extension is of use when our statements see it.
_TYPES: dict[Extension, str] = {"vector": "halfvec", "postgis": "geography"}
_ABOUT = "SELECT to_regtype(%(type)s::text) IS NOT NULL, (SELECT value FROM store WHERE key = %(key)s)"

_log = logging.getLogger("trialogue.postgres")


async def use_extension(connection: TrioConnection, name: Extension) -> bool:
    """Within a transaction, under the lock of migrations: make what needs it. Returns whether it can be used."""
    script = resources.files("trialogue_postgres").joinpath("extensions", f"{name}.sql").read_bytes()
    key, checksum = f"extension {name}", hashlib.sha256(script).hexdigest()
    row = await first_row(connection, _ABOUT, {"type": _TYPES[name], "key": key})
    assert row is not None, "it has no FROM"
    is_there, known = row
    if not is_there or known == checksum:
        return bool(is_there)
    try:
        async with connection.transaction():
            await connection.execute(script)
            await send(connection, sql.PUT_FACT, {"key": key, "value": checksum})
    except psycopg.Error as error:
        _log.warning("the extension %s is not used: %s", name, " ".join(str(error).split()))
        return False
    return True
