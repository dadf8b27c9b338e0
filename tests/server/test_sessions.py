"""How long a session lasts, and how soon its end is seen, in virtual time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from trialogue import Session, StorageError, User, new_id
from trialogue.testing import Fault, MemoryStore
from trialogue_server._callers import tokens
from trialogue_server._callers.sessions import Sessions
from trialogue_server._http.call import Call

T = TypeVar("T")
TOKEN = "a token"
NOW = datetime.now(UTC)
SESSION = Session(
    id=new_id(),
    user=new_id(),
    token_hash=hashlib.sha256(TOKEN.encode()).digest(),
    created_at=NOW,
    expires_at=NOW + timedelta(days=1),
    seen_at=NOW,
)


class Counting(MemoryStore):
    """Counts the reads that the cache is there to spare."""

    reads = 0

    async def _call(self, name: str, effect: Callable[[], T], *, writes: bool = False) -> T:
        self.reads += name == "session"
        return await super()._call(name, effect, writes=writes)


@pytest.fixture
async def store() -> Counting:
    store = Counting()
    await store.accounts.add_user(User(SESSION.user, "ada@example.org", "Ada", "user", NOW), "a hash")
    await store.accounts.add_session(SESSION)
    return store


@pytest.fixture
def sessions(store: Counting) -> Sessions:
    return Sessions(store.accounts, days=30)


def call(token: str = TOKEN) -> Call:
    cookie = f"a=b; trialogue={token}; c=d".encode()
    return Call({"method": "GET", "path": "/", "headers": [(b"cookie", cookie)], "query_string": b""})


async def knows(sessions: Sessions, token: str = TOKEN) -> bool:
    return await sessions.find(call(token), secure=False) is not None


async def test_cookie_finds_its_account(sessions: Sessions) -> None:
    principal = await sessions.find(call(), secure=False)
    assert principal is not None
    assert (principal.user.id, principal.session) == (SESSION.user, SESSION.id)
    assert not await knows(sessions, "another token")
    assert await sessions.find(call(), secure=True) is None, "a plain cookie does not count behind TLS"


async def test_store_is_read_once_in_a_while(mock_clock: MockClock, store: Counting, sessions: Sessions) -> None:
    for _ in range(5):
        assert await knows(sessions)
    assert store.reads == 1
    mock_clock.jump(tokens.FRESH)
    assert await knows(sessions)
    assert store.reads == 2


async def test_end_is_seen_at_once_here_and_soon_elsewhere(
    mock_clock: MockClock, store: Counting, sessions: Sessions
) -> None:
    elsewhere = Sessions(store.accounts, days=30)
    assert await knows(sessions)
    assert await knows(elsewhere)
    await sessions.end(SESSION.id)
    assert not await knows(sessions)
    mock_clock.jump(tokens.FRESH)
    assert not await knows(elsewhere)


async def test_end_during_a_read_is_not_forgotten(
    autojump_clock: MockClock, store: Counting, sessions: Sessions
) -> None:
    """What was read before the end is not remembered after it."""
    store.faults.next("session", Fault(lag=5))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(knows, sessions)
        await trio.testing.wait_all_tasks_blocked()
        await sessions.end(SESSION.id)
    assert not await knows(sessions)


async def test_guesses_are_not_remembered(store: Counting, sessions: Sessions) -> None:
    for n in range(50):
        assert not await knows(sessions, str(n))
    assert repr(sessions) == "<Sessions cached=0>"


async def test_cache_is_bounded(store: Counting, sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "CACHED", 3)
    for n in range(6):
        token_hash = hashlib.sha256(str(n).encode()).digest()
        await store.accounts.add_session(replace(SESSION, id=new_id(), token_hash=token_hash))
        assert await knows(sessions, str(n))
    assert repr(sessions) == "<Sessions cached=3>"


async def test_expired_session_is_over_also_in_the_cache(store: Counting, sessions: Sessions) -> None:
    soon = replace(SESSION, expires_at=datetime.now(UTC) + timedelta(milliseconds=50))
    await store.accounts.add_session(soon)
    with trio.fail_after(5):
        while await knows(sessions):
            await trio.lowlevel.checkpoint()


async def test_used_session_lives_on(store: Counting, sessions: Sessions) -> None:
    """Written down once, not with every request."""
    await store.accounts.add_session(
        replace(SESSION, seen_at=NOW - timedelta(hours=2), expires_at=NOW + timedelta(hours=1))
    )
    jobs = store.statistics().jobs
    for _ in range(5):
        assert await knows(sessions)
    assert store.statistics().jobs == jobs + 1
    found = await store.accounts.session(SESSION.token_hash)
    assert found is not None
    assert found[0].expires_at - found[0].seen_at == timedelta(days=30)
    assert found[0].seen_at >= NOW


async def test_session_goes_on_while_nothing_can_be_written(store: Counting, sessions: Sessions) -> None:
    await store.accounts.add_session(replace(SESSION, seen_at=NOW - timedelta(hours=2)))
    store.faults.full = True
    assert await knows(sessions)
    assert await knows(sessions), "nor is it tried again with every request"
    sessions.cache.forget_where(lambda *_: True)
    store.faults.next("session", Fault(fail="before"))
    with pytest.raises(StorageError):
        await sessions.find(call(), secure=False)
