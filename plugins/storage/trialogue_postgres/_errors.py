"""The border where PostgreSQL's errors become ours, each with what to do about it."""

from __future__ import annotations

import psycopg

from trialogue import StorageError

#: Worth another attempt at once: two transactions were in each other's way, and this one was undone.
IN_EACH_OTHERS_WAY = frozenset({"40001", "40P01"})
#: A server that takes no writes: there is another one by now, or this one has become a replica.
READ_ONLY = "25006"
#: Classes of errors about what is to be written, not about where: it can never be written.
_REFUSED = ("21", "22", "23", "54")
#: Of the class of intervention by an operator, what ends the connection.
_ENDED = ("57P01", "57P02", "57P03", "57P05")

#: Seconds after which it is worth trying again.
AGAIN = 1.0


class RefusedError(StorageError):
    """What is to be written contradicts what is stored; ``state`` is PostgreSQL's code for it."""

    def __init__(self, detail: str, state: str) -> None:
        super().__init__(detail)
        self.state = state


def is_lost(error: psycopg.Error) -> bool:
    """Whether the connection is gone, and with it the knowledge of what became of what was asked."""
    state = error.sqlstate
    if state is None:
        return isinstance(error, psycopg.OperationalError)
    return state.startswith("08") or state in _ENDED


def words_of(error: psycopg.Error) -> str:
    """What PostgreSQL said, in one line, without the details, which quote rows and the secrets in them."""
    return " ".join((error.diag.message_primary or str(error)).split())


def storage_error(error: psycopg.Error) -> StorageError:
    """What a caller is told of ``error``."""
    words, state = words_of(error), error.sqlstate or ""
    if state.startswith(_REFUSED):
        told: StorageError = RefusedError(f"PostgreSQL refuses it ({words})", state)
    elif is_lost(error):
        told = StorageError(f"the connection to PostgreSQL was lost ({words}): is it up?", retry_after=AGAIN)
    else:
        what, again = _advice(state)
        told = StorageError(f"PostgreSQL {what} ({words})", retry_after=again)
    return told


def _advice(state: str) -> tuple[str, float | None]:
    match state:
        case "53100":
            return "cannot grow: its disk is full; make room, nothing that was acknowledged is lost", AGAIN
        case "53200" | "53300" | "53400":
            return (
                "is at its limit: give it more memory or connections, or us fewer (connections in storage_url)",
                AGAIN,
            )
        case "25006":
            return "takes no writes: it is a replica, or was made read-only; name the primary in storage_url", AGAIN
        case "57014":
            return "took too long to answer: ask for less", AGAIN
        case "55P03" | "40001" | "40P01":
            return "is held up by other transactions: look for one that does not end", AGAIN
        case "42501":
            return "lacks a right for our user: grant it", None
        case "XX001" | "XX002":
            return "is damaged: stop it, keep a copy of its folder, and restore a backup", None
        case _:
            return "failed in an unexpected way: please report it", None
