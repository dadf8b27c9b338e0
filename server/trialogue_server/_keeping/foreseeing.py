"""What pruning would remove, counted in a store's rows by the rules that the store removes by, with nothing touched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from trialogue import (
    AuditRecord,
    ContentRecord,
    ConversationRecord,
    FileRecord,
    InvitationRecord,
    Limits,
    Pruned,
    Record,
    SessionRecord,
)


class Foresight:
    """Takes records in the order of a dump, in which contents come before the files that name them."""

    def __init__(self, limits: Limits, now: datetime) -> None:
        self._now = now
        self._events = now - timedelta(seconds=limits.retention)
        self._trash = now - timedelta(seconds=limits.trash)
        self._audit = now - timedelta(seconds=limits.audit)
        self._invitations = now - timedelta(seconds=limits.invitations)
        self._found: Counter[str] = Counter()
        #: Contents that no file was seen to name, and nobody keeps.
        self._loose: set[str] = set()

    def take(self, records: Iterable[Record]) -> None:
        """The next ones."""
        for record in records:
            self._take(record)

    def pruned(self) -> Pruned:
        """What would go now. Contents of files that go with what else goes are found once that is gone."""
        return Pruned(**self._found, contents=len(self._loose))

    def _take(self, record: Record) -> None:
        match record:
            case ConversationRecord(header):
                self._found["events"] += (
                    not record.unfinished and record.floor < record.next_seq and header.updated_at < self._events
                )
                self._found["trash"] += header.deleted_at is not None and header.updated_at < self._trash
            case AuditRecord(entry):
                self._found["audit"] += entry.at < self._audit
            case InvitationRecord(invitation):
                self._found["invitations"] += invitation.over_at < self._invitations
            case SessionRecord(session):
                self._found["sessions"] += session.expires_at <= self._now
            case ContentRecord(digest, kept) if kept < self._now:
                self._loose.add(digest)
            case FileRecord(file):
                self._loose -= {file.sha256, *(one.sha256 for one in file.variants)}
            case _:
                pass
