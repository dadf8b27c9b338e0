"""Store checks: accounts, their secrets, and sessions. What else lets one in is in ``_kit_access``."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta

import msgspec
import trio

from trialogue._accounts.account_values import UserChange
from trialogue._accounts.audit import Origin
from trialogue._accounts.auth import Session, User
from trialogue._facts.errors import ConflictError, InvalidError, LimitError
from trialogue._facts.ids import new_id
from trialogue._storage.store import Store
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
async def expired_sessions_go_and_the_rest_stays(store: Store) -> None:
    user = await store.accounts.add_user(someone("a@example.org"), "hash")
    kept, *others = [device(user, token=bytes([n]) * 32) for n in range(4)]
    for session in (kept, *others):
        await store.accounts.add_session(session)
    for session in others:  # One that is added drops those before it.
        await store.accounts.touch_session(session.id, session.seen_at, session.seen_at - timedelta(hours=1))
    assert await store.accounts.drop_expired_sessions(0) == 0
    assert await store.accounts.drop_expired_sessions(2) == 2
    assert await store.accounts.drop_expired_sessions(2) == 1
    assert await store.accounts.drop_expired_sessions(2) == 0
    assert await store.accounts.sessions(user.id) == [kept]


@check
async def dropped_session_is_not_found(store: Store) -> None:
    user = await store.accounts.add_user(someone("a@example.org"), "hash")
    session = device(user)
    await store.accounts.add_session(session)
    await store.accounts.drop_session(session.id)
    await store.accounts.drop_session(session.id)
    assert await store.accounts.session(session.token_hash) is None


# --- changing accounts -------------------------------------------------------------------------------------------


@check
async def account_is_changed_in_part(store: Store) -> None:
    user = await store.accounts.add_user(someone("a@example.org"), "hash")
    await store.accounts.set_user(user.id, UserChange(preferences={"theme": "dark", "at": {"x": 1}}))
    change = UserChange(name="Other", email="b@example.org", preferences={"theme": None, "at": {"y": 2}})
    after = await store.accounts.set_user(user.id, change)
    expected = msgspec.structs.replace(user, name="Other", email="b@example.org", preferences={"at": {"x": 1, "y": 2}})
    assert after == expected
    assert await store.accounts.user(user.id) == expected
    assert await store.accounts.user_by_email("a@example.org") is None
    assert await store.accounts.user_secret("b@example.org") == (expected, "hash")
    assert await store.accounts.set_user(new_id(), change) is None


@check
async def preferences_are_bounded(store: Store) -> None:
    user = await store.accounts.add_user(someone("a@example.org"), "hash")
    try:
        await store.accounts.set_user(user.id, UserChange(preferences={"x": "y" * 20_000}))
    except LimitError:
        pass
    else:
        raise AssertionError("taken")
    assert await store.accounts.user(user.id) == user


@check
async def address_of_another_is_not_taken(store: Store) -> None:
    await store.accounts.add_user(someone("a@example.org"), "hash")
    other = await store.accounts.add_user(someone("b@example.org"), "hash")
    assert await refused(store.accounts.set_user(other.id, UserChange(email="a@example.org"))) == "/email"
    assert await store.accounts.user(other.id) == other


@check
async def last_administrator_stays(store: Store) -> None:
    """Whether demoted, disabled or removed; and of two, only one goes, even when both try at once."""
    accounts = store.accounts
    first = await accounts.add_user(someone("a@example.org"), "hash")
    second = await accounts.add_user(someone("b@example.org"), "hash")
    for change in (UserChange(role="user"), UserChange(disabled=True)):
        assert await refused(accounts.set_user(first.id, change)) is None
    assert await refused(accounts.remove_user(first.id)) is None
    await accounts.set_user(second.id, UserChange(role="admin", disabled=True))
    assert await refused(accounts.set_user(first.id, UserChange(role="user"))) is None
    await accounts.set_user(second.id, UserChange(disabled=False))
    outcomes: list[str] = []

    async def demote(user: str) -> None:
        try:
            await accounts.set_user(user, UserChange(role="user"))
        except ConflictError:
            outcomes.append("refused")
        else:
            outcomes.append("demoted")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(demote, first.id)
        nursery.start_soon(demote, second.id)
    assert sorted(outcomes) == ["demoted", "refused"]


@check
async def disabled_account_is_let_in_by_nothing(store: Store) -> None:
    await store.accounts.add_user(someone("root@example.org"), "hash")
    user = await store.accounts.add_user(someone("a@example.org"), "hash")
    session = device(user)
    await store.accounts.add_session(session)
    await store.accounts.set_user(user.id, UserChange(disabled=True))
    assert await store.accounts.session(session.token_hash) is None
    await store.accounts.add_session(device(user, token=b"u" * 32))
    assert await store.accounts.session(b"u" * 32) is None
    assert await store.accounts.sessions(user.id) == []
    await store.accounts.set_user(user.id, UserChange(disabled=False))
    assert await store.accounts.session(session.token_hash) is None, "its sessions are gone"


@check
async def accounts_are_listed_by_address(store: Store) -> None:
    users = [await store.accounts.add_user(someone(f"{n}@example.org"), "hash") for n in (3, 1, 2, 5, 4)]
    expected = sorted(users, key=lambda user: user.email)
    found: list[User] = []
    cursor = None
    while True:
        page = await store.accounts.users(limit=2, cursor=cursor)
        found += page.users
        if (cursor := page.cursor) is None:
            break
    assert found == expected
    assert (await store.accounts.users(limit=5)).cursor is None
    assert [user.email for user in (await store.accounts.users(limit=5, text="4@EX")).users] == ["4@example.org"]
    assert len((await store.accounts.users(limit=9, text="some one")).users) == 5
    assert (await store.accounts.users(limit=9, text="%")).users == ()
    try:
        await store.accounts.users(limit=2, cursor="no cursor")
    except InvalidError:
        pass
    else:
        raise AssertionError("no cursor of ours")


async def refused(call: Awaitable[object]) -> str | None:
    """The pointer of the conflict that a call must end in."""
    try:
        await call
    except ConflictError as error:
        return error.pointer
    raise AssertionError("not refused")


# --- secrets -----------------------------------------------------------------------------------------------------


@check
async def changed_secret_ends_other_sessions(store: Store) -> None:
    user = await store.accounts.add_user(someone("a@example.org"), "old")
    kept, other = device(user, token=b"k" * 32), device(user, token=b"o" * 32)
    await store.accounts.add_session(kept)
    await store.accounts.add_session(other)
    assert await store.accounts.change_secret(user.id, "new", kept.id) == [other.id]
    assert await store.accounts.session(other.token_hash) is None
    found = await store.accounts.session(kept.token_hash)
    assert found is not None
    assert await store.accounts.change_secret(new_id(), "new") is None


@check
async def login_with_the_old_secret_comes_too_late(store: Store) -> None:
    """Verified before the change, its session begun after it."""
    user = await store.accounts.add_user(someone("a@example.org"), "old")
    await store.accounts.change_secret(user.id, "new")
    await store.accounts.add_session(device(user))
    assert await store.accounts.session(b"t" * 32) is None


@check
async def hash_is_renewed_unless_the_secret_changed(store: Store) -> None:
    user = await store.accounts.add_user(someone("a@example.org"), "old")
    await store.accounts.renew_secret(user.id, "other", "wrong")
    assert await store.accounts.user_secret(user.email) == (user, "old")
    await store.accounts.renew_secret(user.id, "old", "new")
    assert await store.accounts.user_secret(user.email) == (user, "new")


@check
async def account_may_have_no_secret(store: Store) -> None:
    user = await store.accounts.add_user(someone("a@example.org"), None)
    assert await store.accounts.user_secret(user.email) == (user, None)
    await store.accounts.change_secret(user.id, "new")
    await store.accounts.change_secret(user.id, None)
    _, secret = await store.accounts.user_secret(user.email) or (None, "")
    assert secret is None


# --- sessions, several of them -----------------------------------------------------------------------------------


@check
async def sessions_are_listed_the_last_seen_first(store: Store) -> None:
    user = await store.accounts.add_user(someone("a@example.org"), "hash")
    other = await store.accounts.add_user(someone("b@example.org"), "hash")
    sessions = [device(user, token=bytes([n]) * 32) for n in range(3)]
    for place, session in enumerate(sessions):
        sessions[place] = msgspec.structs.replace(session, seen_at=session.seen_at + timedelta(minutes=place))
        await store.accounts.add_session(sessions[place])
    await store.accounts.add_session(device(other, token=b"o" * 32))
    await store.accounts.add_session(device(user, hours=-1, token=b"x" * 32))
    assert await store.accounts.sessions(user.id) == sessions[::-1]
    assert await store.accounts.sessions(new_id()) == []


@check
async def too_many_sessions_push_the_oldest_out(store: Store) -> None:
    user = await store.accounts.add_user(someone("a@example.org"), "hash")
    first, second, third = (device(user, token=bytes([n]) * 32) for n in range(3))
    first = msgspec.structs.replace(first, seen_at=first.seen_at - timedelta(minutes=2))
    assert await store.accounts.add_session(first, 2) == []
    assert await store.accounts.add_session(second, 2) == []
    assert await store.accounts.add_session(third, 2) == [first.id]
    assert await store.accounts.session(first.token_hash) is None
    assert {session.id for session in await store.accounts.sessions(user.id)} == {second.id, third.id}


@check
async def what_did_not_happen_is_not_recorded(store: Store) -> None:
    entry = Origin().entry("session.revoked")
    assert not await store.accounts.drop_session(new_id(), (entry,))
    assert await store.accounts.set_user(new_id(), UserChange(name="x"), (entry,)) is None
    assert not await store.accounts.remove_user(new_id(), (entry,))
    assert (await store.accounts.audit(limit=5)).entries == ()
