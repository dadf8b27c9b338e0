"""The audit log's values: what was done to accounts and what lets one in, by whom, to whom, from where.

An entry is written in the transaction of what it records, and never changed. Contents of conversations are none of it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, TypeAlias

import msgspec

from trialogue._facts.ids import new_id

#: What may be recorded. Names are stable: they are filtered by and alerted on.
Action: TypeAlias = Literal[
    "account.registered",
    "account.updated",
    "account.disabled",
    "account.enabled",
    "account.deleted",
    "role.changed",
    "login",
    "login.failed",
    "logout",
    "session.revoked",
    "password.changed",
    "password.reset_offered",
    "password.reset",
    "key.made",
    "key.revoked",
    "invitation.made",
    "invitation.used",
    "invitation.revoked",
    "identity.added",
    "budget.changed",
]


class AuditEntry(msgspec.Struct, frozen=True):
    """One fact. ``actor`` did it, ``subject`` is the account it was done to, ``thing`` the session, key or invitation."""

    id: str
    at: datetime
    action: Action
    #: ``None``: nobody we know.
    actor: str | None
    subject: str | None
    thing: str | None = None
    #: The caller's address, and the id of the request, which is in the log of requests as well.
    address: str = ""
    request: str = ""
    #: For a person to read; never a secret, never what somebody typed where a secret may have been meant.
    detail: str = ""


class Origin(msgspec.Struct, frozen=True):
    """Where a change comes from: what the entries of one request have in common."""

    actor: str | None = None
    address: str = ""
    request: str = ""

    def entry(
        self, action: Action, subject: str | None = None, *, thing: str | None = None, detail: str = ""
    ) -> AuditEntry:
        """An entry about it, made now."""
        return AuditEntry(
            new_id(), datetime.now(UTC), action, self.actor, subject, thing, self.address, self.request, detail
        )


class AuditPage(msgspec.Struct, frozen=True):
    """Entries, newest first; ``cursor`` continues after the last one, ``None`` at the end."""

    entries: tuple[AuditEntry, ...]
    cursor: str | None
