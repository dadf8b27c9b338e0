"""Store checks: accounts and sessions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import trio

from trialogue._auth import Session, User
from trialogue._errors import ConflictError
from trialogue._ids import new_id
from trialogue._store import Store
from trialogue.testing._kit_making import BEGAN, StoreCheck, checks_in

ACCOUNT_CHECKS: list[StoreCheck] = []
check = checks_in(ACCOUNT_CHECKS)


def someone(email: str) -> User:
    return User(new_id(), email, "Some One", "user", BEGAN)


def device(user: User, *, hours: float = 1, token: bytes = b"t" * 32) -> Session:
    now = datetime.now(UTC)
    return Session(new_id(), user.id, token, now, now + timedelta(hours=hours), now, "agent", "::1")


@check
async def first_account_is_administrator(store: Store) -> None:
    assert not await store.accounts.has_users()
    first = await store.accounts.add_user(someone("a@example.org"), "hash a")
    assert await store.accounts.has_users()
    second = await store.accounts.add_user(someone("b@example.org"), "hash b")
    assert (first.role, second.role) == ("admin", "user")
    assert await store.accounts.user(first.id) == first
    assert await store.accounts.user_secret("b@example.org") == (second, "hash b")


@check
async def one_administrator_comes_out_of_a_race(store: Store) -> None:
    roles: list[str] = []

    async def register(number: int) -> None:
        roles.append((await store.accounts.add_user(someone(f"{number}@example.org"), "hash")).role)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(register, number)
    assert sorted(roles) == ["admin"] + ["user"] * 19


@check
async def address_is_taken_once_in_a_race(store: Store) -> None:
    taken: list[User] = []
    refused: list[ConflictError] = []

    async def register() -> None:
        try:
            taken.append(await store.accounts.add_user(someone("same@example.org"), "hash"))
        except ConflictError as error:
            refused.append(error)

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(register)
    assert (len(taken), len(refused)) == (1, 9)
    found = await store.accounts.user_secret("same@example.org")
    assert found is not None
    assert found[0] == taken[0]


@check
async def unknown_account_is_none(store: Store) -> None:
    assert await store.accounts.user(new_id()) is None
    assert await store.accounts.user_secret("nobody@example.org") is None


@check
async def secret_is_replaced(store: Store) -> None:
    user = await store.accounts.add_user(someone("a@example.org"), "old")
    assert await store.accounts.change_secret(user.id, "new") == []
    after = msgspec.structs.replace(user, epoch=1)
    assert await store.accounts.user_secret("a@example.org") == (after, "new")


@check
async def session_is_found_by_its_token(store: Store) -> None:
    user = await store.accounts.add_user(someone("a@example.org"), "hash")
    session = device(user)
    await store.accounts.add_session(session)
    await store.accounts.add_session(device(user, token=b"u" * 32))
    assert await store.accounts.session(session.token_hash) == (session, user)
    assert await store.accounts.session(b"?" * 32) is None


@check
async def session_with_the_same_id_is_replaced(store: Store) -> None:
    user = await store.accounts.add_user(someone("a@example.org"), "hash")
    session = device(user)
    await store.accounts.add_session(session)
    later = msgspec.structs.replace(session, seen_at=session.seen_at + timedelta(minutes=5))
    await store.accounts.add_session(later)
    assert await store.accounts.session(session.token_hash) == (later, user)


@check
async def touched_session_lives_longer(store: Store) -> None:
    user = await store.accounts.add_user(someone("a@example.org"), "hash")
    session = device(user)
    await store.accounts.add_session(session)
    later = session.expires_at + timedelta(hours=1)
    await store.accounts.touch_session(session.id, session.expires_at, later)
    touched = msgspec.structs.replace(session, seen_at=session.expires_at, expires_at=later)
    assert await store.accounts.session(session.token_hash) == (touched, user)
    await store.accounts.touch_session(session.id, later, session.created_at - timedelta(hours=1))
    assert await store.accounts.session(session.token_hash) is None


@check
async def touch_does_not_bring_a_session_back(store: Store) -> None:
    user = await store.accounts.add_user(someone("a@example.org"), "hash")
    session = device(user)
    await store.accounts.add_session(session)
    await store.accounts.drop_session(session.id)
    await store.accounts.touch_session(session.id, session.seen_at, session.expires_at)
    assert await store.accounts.session(session.token_hash) is None


@check
async def expired_session_is_not_found(store: Store) -> None:
    user = await store.accounts.add_user(someone("a@example.org"), "hash")
    await store.accounts.add_session(device(user, hours=-1))
    assert await store.accounts.session(b"t" * 32) is None


@check
async def dropped_session_is_not_found(store: Store) -> None:
    user = await store.accounts.add_user(someone("a@example.org"), "hash")
    session = device(user)
    await store.accounts.add_session(session)
    await store.accounts.drop_session(session.id)
    await store.accounts.drop_session(session.id)
    assert await store.accounts.session(session.token_hash) is None
