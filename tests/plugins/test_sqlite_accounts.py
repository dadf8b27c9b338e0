"""What the database itself sees to, for accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import trialogue_sqlite
from trialogue import Origin, StorageError, UserChange
from trialogue.testing._kit_accounts import someone
from trialogue_sqlite._driver import Connection
from trialogue_sqlite._store import SQLiteStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    opening = trialogue_sqlite.trialogue_store("sqlite:", tmp_path)
    assert opening is not None
    async with opening as store:
        assert isinstance(store, SQLiteStore)
        yield store


async def test_audit_log_is_not_rewritten(store: SQLiteStore) -> None:
    """Not by whoever has the connection either."""
    await store.accounts.note((Origin().entry("login"),))

    def rewrite(connection: Connection) -> None:
        connection.execute("UPDATE audit SET body = '{}'")

    with pytest.raises(StorageError, match="the audit log is not changed"):
        await store.writer.run(rewrite)
    assert len((await store.accounts.audit(limit=5)).entries) == 1


async def test_entry_is_in_the_commit_of_what_it_records(store: SQLiteStore) -> None:
    """One commit, so that no crash parts them; and a change that cannot be recorded does not happen."""
    user = await store.accounts.add_user(someone("a@example.org"), "hash")
    commits = store.writer.commits
    entry = Origin().entry("account.updated", user.id)
    await store.accounts.set_user(user.id, UserChange(name="Other"), (entry,))
    assert store.writer.commits == commits + 1
    await store.writer.run(lambda connection: connection.execute("ALTER TABLE audit RENAME TO lost"))
    with pytest.raises(StorageError):
        await store.accounts.set_user(user.id, UserChange(name="Unseen"), (entry,))
    found = await store.accounts.user(user.id)
    assert found is not None
    assert found.name == "Other"


async def test_accounts_of_the_first_schema_are_taken_over(store: SQLiteStore) -> None:
    """As the first migration left them: without what came later, in the body or beside it."""
    old = '{"id":"u","email":"old@example.org","name":"Old","role":"admin","created_at":"2026-01-01T00:00:00Z"}'
    await store.writer.run(
        lambda connection: connection.execute(
            "INSERT INTO account (id, email, secret, body) VALUES ('u', 'old@example.org', 'hash', ?)", (old,)
        )
    )
    found = await store.accounts.user_secret("old@example.org")
    assert found is not None
    assert (found[0].disabled, found[0].preferences, found[0].epoch, found[1]) == (False, {}, 0, "hash")
    other = await store.accounts.add_user(someone("b@example.org"), "hash")
    assert other.role == "user"
    assert await store.accounts.remove_user(other.id)
