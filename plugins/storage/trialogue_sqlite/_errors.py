"""The border where SQLite's errors become ours, each with what to do about it."""

from __future__ import annotations

from pathlib import Path

import apsw

from trialogue import StorageError

#: The storage is in trouble: nothing of the transaction happened, and the same call may succeed later.
TROUBLE = (
    apsw.FullError,
    apsw.IOError,
    apsw.ReadOnlyError,
    apsw.CantOpenError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.NoMemError,
    apsw.ProtocolError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.InterruptError,
    apsw.PermissionsError,
)
#: Of what is to be written, not of where: it can never be written.
REFUSED = (apsw.ConstraintError, apsw.TooBigError, apsw.MismatchError, ValueError, TypeError, OverflowError)

#: Seconds after which it is worth trying again.
AGAIN = 1.0


def storage_error(error: BaseException, path: Path) -> StorageError:
    """What a caller is told of ``error``, which came out of the database at ``path``."""
    what, again = _advice(error)
    told = StorageError(f"the database {str(path)!r} {what} ({error})", retry_after=again)
    told.__cause__ = error
    return told


def _advice(error: BaseException) -> tuple[str, float | None]:
    match error:
        case apsw.FullError():
            return "cannot grow: the disk is full; make room, nothing that was acknowledged is lost", AGAIN
        case apsw.ReadOnlyError() | apsw.PermissionsError():
            return "cannot be written: its disk or file has become read-only; make it writable", AGAIN
        case apsw.CorruptError() | apsw.NotADBError():
            return "is damaged: stop the server, keep a copy of the folder, and restore a backup", None
        case apsw.InterruptError():
            return "took too long to answer: ask for less", AGAIN
        case apsw.BusyError() | apsw.LockedError() | apsw.ProtocolError():
            return "is in use by something else: find out by what, only one server may open it", AGAIN
        case apsw.NoMemError():
            return "cannot be used: there is no memory left", AGAIN
        case apsw.IOError() | apsw.CantOpenError():
            return "cannot be read or written: look at the disk and the system's log", AGAIN
        case _:
            return "failed in an unexpected way: please report it", None
