"""Store checks: API keys, invitations, resets, identities, the audit log, and what deleted accounts leave."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import trio

from trialogue._accounts.account_values import Admission, Identity, Invitation, Reset, UserChange
from trialogue._accounts.audit import AuditEntry, Origin
from trialogue._accounts.auth import ApiKey, User
from trialogue._facts.errors import ConflictError, ForbiddenError, InvalidError
from trialogue._facts.ids import new_id
from trialogue._storage.store import Store
from trialogue.testing._kit_accounts import device, refused, someone
from trialogue.testing._kit_making import StoreCheck, begin, checks_in

ACCESS_CHECKS: list[StoreCheck] = []
check = checks_in(ACCESS_CHECKS)

ORIGIN = Origin(None, "::1", "request")


def key_of(user: User, token: bytes = b"k" * 32, *, hours: float | None = None, age: float = 0) -> ApiKey:
    now = datetime.now(UTC)
    expires_at = None if hours is None else now + timedelta(hours=hours)
    return ApiKey(new_id(), user.id, token, "a key", ("read",), now - timedelta(hours=age), expires_at, budget=5)


def invitation_of(user: User, token: bytes = b"i" * 32, *, hours: float = 1, email: str | None = None) -> Invitation:
    now = datetime.now(UTC)
    return Invitation(new_id(), token, "user", user.id, now, now + timedelta(hours=hours), email)


async def two(store: Store) -> tuple[User, User]:
    """The administrator, and somebody else."""
    first = await store.accounts.add_user(someone("root@example.org"), "hash")
    return first, await store.accounts.add_user(someone("a@example.org"), "hash")


async def recorded(store: Store) -> list[AuditEntry]:
    return list((await store.accounts.audit(limit=100)).entries)


# --- keys --------------------------------------------------------------------------------------------------------


@check
async def key_is_found_by_its_token(store: Store) -> None:
    _, user = await two(store)
    key = key_of(user)
    await store.accounts.add_key(key)
    await store.accounts.add_key(key_of(user, b"l" * 32, hours=-1))
    assert await store.accounts.key(key.token_hash) == (key, user)
    assert await store.accounts.key_by_id(key.id) == key
    assert await store.accounts.key(b"l" * 32) is None, "expired"
    assert await store.accounts.key(b"?" * 32) is None
    assert await store.accounts.key_by_id(new_id()) is None


@check
async def keys_are_listed_newest_first_and_bounded(store: Store) -> None:
    root, user = await two(store)
    keys = [key_of(user, bytes([n]) * 32, hours=-1 if n == 1 else None, age=n) for n in range(3)]
    for key in keys:
        await store.accounts.add_key(key, 3)
    await store.accounts.add_key(key_of(root), 3)
    assert await store.accounts.keys(user.id) == keys
    entry = ORIGIN.entry("key.made")
    await refused(store.accounts.add_key(key_of(user, b"m" * 32), 3, (entry,)))
    assert await store.accounts.key(b"m" * 32) is None
    assert entry not in await recorded(store)


@check
async def used_key_says_when(store: Store) -> None:
    _, user = await two(store)
    key = key_of(user)
    await store.accounts.add_key(key)
    used = datetime.now(UTC)
    await store.accounts.touch_key(key.id, used)
    assert await store.accounts.key_by_id(key.id) == msgspec.structs.replace(key, used_at=used)
    assert await store.accounts.drop_key(key.id)
    await store.accounts.touch_key(key.id, used)
    assert await store.accounts.key(key.token_hash) is None
    assert not await store.accounts.drop_key(key.id)


@check
async def keys_of_a_disabled_account_rest(store: Store) -> None:
    _, user = await two(store)
    await store.accounts.add_key(key_of(user))
    await store.accounts.set_user(user.id, UserChange(disabled=True))
    assert await store.accounts.key(b"k" * 32) is None
    await store.accounts.set_user(user.id, UserChange(disabled=False))
    assert await store.accounts.key(b"k" * 32) is not None


# --- invitations -------------------------------------------------------------------------------------------------


@check
async def first_account_needs_no_invitation(store: Store) -> None:
    closed = Admission(ORIGIN, is_open=False)
    first = await store.accounts.add_user(someone("root@example.org"), "hash", closed)
    assert first.role == "admin"
    try:
        await store.accounts.add_user(someone("a@example.org"), "hash", closed)
    except ForbiddenError:
        pass
    else:
        raise AssertionError("admitted")
    assert await store.accounts.user_by_email("a@example.org") is None


@check
async def invitation_is_good_once_even_when_many_try(store: Store) -> None:
    root, _ = await two(store)
    invitation = msgspec.structs.replace(invitation_of(root), role="admin")
    await store.accounts.add_invitation(invitation)
    made: list[User] = []
    refusals: list[ForbiddenError] = []

    async def register(number: int) -> None:
        user = msgspec.structs.replace(someone(f"{number}@example.org"), created_at=datetime.now(UTC))
        try:
            made.append(await store.accounts.add_user(user, "hash", Admission(ORIGIN, False, invitation)))
        except ForbiddenError as error:
            refusals.append(error)

    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(register, number)
    assert (len(made), len(refusals), made[0].role) == (1, 7, "admin")
    kept = await store.accounts.invitation(invitation.token_hash)
    assert kept is not None
    assert (kept.used_by, kept.used_at) == (made[0].id, made[0].created_at)
    used = [entry for entry in await recorded(store) if entry.action == "invitation.used"]
    assert [(entry.actor, entry.subject, entry.thing) for entry in used] == [(made[0].id, made[0].id, invitation.id)]


@check
async def invitation_for_another_address_or_too_late_admits_nobody(store: Store) -> None:
    root, _ = await two(store)
    late, others = invitation_of(root, hours=-1), invitation_of(root, b"j" * 32, email="b@example.org")
    for invitation in (late, others):
        await store.accounts.add_invitation(invitation)
        user = msgspec.structs.replace(someone("c@example.org"), created_at=datetime.now(UTC))
        try:
            await store.accounts.add_user(user, "hash", Admission(ORIGIN, True, invitation))
        except ForbiddenError:
            continue
        raise AssertionError("admitted")
    user = msgspec.structs.replace(someone("b@example.org"), created_at=datetime.now(UTC))
    assert (await store.accounts.add_user(user, "hash", Admission(ORIGIN, False, others))).role == "user"


@check
async def invitations_are_listed_and_revoked(store: Store) -> None:
    root, _ = await two(store)
    made = [invitation_of(root, bytes([n]) * 32) for n in range(5)]
    for invitation in made:
        await store.accounts.add_invitation(invitation)
    first = await store.accounts.invitations(limit=3)
    rest = await store.accounts.invitations(limit=3, cursor=first.cursor)
    assert [*first.invitations, *rest.invitations] == sorted(made, key=lambda one: one.id, reverse=True)
    assert rest.cursor is None
    entry = ORIGIN.entry("invitation.revoked")
    assert await store.accounts.drop_invitation(made[0].id, (entry,))
    assert not await store.accounts.drop_invitation(made[0].id, (ORIGIN.entry("invitation.revoked"),))
    assert [one for one in await recorded(store) if one.action == "invitation.revoked"] == [entry]
    user = msgspec.structs.replace(someone("b@example.org"), created_at=datetime.now(UTC))
    await store.accounts.add_user(user, "hash", Admission(ORIGIN, True, made[1]))
    assert not await store.accounts.drop_invitation(made[1].id), "used ones stay as a record"


# --- resets and identities ---------------------------------------------------------------------------------------


@check
async def reset_is_good_once(store: Store) -> None:
    _, user = await two(store)
    session, later = device(user), datetime.now(UTC) + timedelta(hours=1)
    await store.accounts.add_session(session)
    assert await store.accounts.add_reset(Reset(user.id, b"1" * 32, later))
    assert await store.accounts.add_reset(Reset(user.id, b"2" * 32, later))
    assert not await store.accounts.add_reset(Reset(new_id(), b"3" * 32, later))
    assert await store.accounts.reset(b"1" * 32) is None, "replaced by the second"
    assert await store.accounts.reset(b"2" * 32) == user
    done = await store.accounts.use_reset(b"2" * 32, "new")
    assert done == (msgspec.structs.replace(user, epoch=1), [session.id])
    assert await store.accounts.use_reset(b"2" * 32, "newer") is None
    found = await store.accounts.user_secret(user.email)
    assert found is not None
    assert found[1] == "new"


@check
async def reset_that_is_late_or_overtaken_does_nothing(store: Store) -> None:
    _, user = await two(store)
    now = datetime.now(UTC)
    await store.accounts.add_reset(Reset(user.id, b"1" * 32, now - timedelta(seconds=1)))
    assert await store.accounts.use_reset(b"1" * 32, "new") is None
    await store.accounts.add_reset(Reset(user.id, b"2" * 32, now + timedelta(hours=1)))
    await store.accounts.change_secret(user.id, "changed")
    assert await store.accounts.use_reset(b"2" * 32, "new") is None


@check
async def account_is_found_by_its_identity(store: Store) -> None:
    root, user = await two(store)
    identity = Identity("https://id.example.org", "42")
    made = await store.accounts.add_user(someone("b@example.org"), None, Admission(ORIGIN), identity)
    assert await store.accounts.identity(identity.issuer, "42") == made
    assert await store.accounts.identity("https://other.example.org", "42") is None
    await refused(store.accounts.add_user(someone("c@example.org"), None, Admission(ORIGIN), identity))
    assert await store.accounts.user_by_email("c@example.org") is None
    await refused(store.accounts.add_identity(user.id, identity))
    other, entry = Identity(identity.issuer, "43"), ORIGIN.entry("identity.added")
    assert await store.accounts.add_identity(user.id, other, (entry,))
    assert await store.accounts.add_identity(user.id, other, (ORIGIN.entry("identity.added"),))
    assert [one for one in await recorded(store) if one.action == "identity.added"] == [entry]
    assert not await store.accounts.add_identity(new_id(), Identity(identity.issuer, "44"))
    assert await store.accounts.identity(identity.issuer, "43") == user
    assert root.role == "admin"


# --- the audit log -----------------------------------------------------------------------------------------------


@check
async def registration_is_recorded_with_it(store: Store) -> None:
    user = await store.accounts.add_user(someone("root@example.org"), "hash", Admission(ORIGIN))
    await refused(store.accounts.add_user(someone("root@example.org"), "hash", Admission(ORIGIN)))
    (entry,) = await recorded(store)
    assert (entry.action, entry.actor, entry.subject, entry.detail) == (
        "account.registered",
        user.id,
        user.id,
        "admin",
    )
    assert (entry.address, entry.request) == ("::1", "request")


@check
async def audit_is_read_in_pages_and_filtered(store: Store) -> None:
    made = [
        msgspec.structs.replace(
            Origin(f"actor {n % 2}").entry("login" if n % 3 else "logout", f"subject {n % 4}"),
            at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=n),
        )
        for n in range(12)
    ]
    for entry in made:
        await store.accounts.note((entry,))
    newest = made[::-1]
    found: list[AuditEntry] = []
    cursor = None
    while True:
        page = await store.accounts.audit(limit=5, cursor=cursor)
        found += page.entries
        if (cursor := page.cursor) is None:
            break
    assert found == newest
    audit = store.accounts.audit
    assert list((await audit(limit=20, action="logout")).entries) == [e for e in newest if e.action == "logout"]
    assert list((await audit(limit=20, actor="actor 1")).entries) == [e for e in newest if e.actor == "actor 1"]
    first = await audit(limit=2, subject="subject 2")
    rest = await audit(limit=2, subject="subject 2", cursor=first.cursor)
    assert [*first.entries, *rest.entries] == [e for e in newest if e.subject == "subject 2"]
    assert list((await audit(limit=20, since=made[3].at, until=made[6].at)).entries) == made[5:2:-1]
    try:
        await audit(limit=5, cursor="bm90IG91cnM=")
    except InvalidError:
        pass
    else:
        raise AssertionError("no cursor of ours")


@check
async def old_audit_goes_and_the_rest_stays(store: Store) -> None:
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    made = [msgspec.structs.replace(ORIGIN.entry("login"), at=begun + timedelta(days=n)) for n in range(6)]
    await store.accounts.note(made)
    assert await store.accounts.drop_audit(made[4].at, 3) == 3
    assert await store.accounts.drop_audit(made[4].at, 3) == 1
    assert await store.accounts.drop_audit(made[4].at, 3) == 0
    assert await recorded(store) == [made[5], made[4]]


@check
async def old_invitations_go_and_the_rest_stays(store: Store) -> None:
    root, _ = await two(store)
    now, day = datetime.now(UTC).replace(microsecond=0), timedelta(days=1)
    tokens = [bytes([n]) * 32 for n in range(5)]
    ends = [now + day, now + 2 * day, now + 3 * day, now + 9 * day, now + 9 * day]
    made = [Invitation(new_id(), token, "user", root.id, now, end) for token, end in zip(tokens, ends, strict=True)]
    for one in made:
        await store.accounts.add_invitation(one)
    guest = msgspec.structs.replace(someone("c@example.org"), created_at=now)
    await store.accounts.add_user(guest, None, Admission(ORIGIN, invitation=made[4]))
    assert await store.accounts.drop_old_invitations(now - day, 9) == 0
    assert await store.accounts.drop_old_invitations(now + 3 * day, 2) == 2
    assert await store.accounts.drop_old_invitations(now + 3 * day, 2) == 1
    assert await store.accounts.drop_old_invitations(now + 3 * day, 2) == 0
    assert {one.id for one in (await store.accounts.invitations(limit=9)).invitations} == {made[2].id, made[3].id}


# --- deletion ----------------------------------------------------------------------------------------------------


@check
async def deleted_account_leaves_nothing_that_lets_in(store: Store) -> None:
    _, user = await two(store)
    identity, later = Identity("https://id.example.org", "42"), datetime.now(UTC) + timedelta(hours=1)
    await store.accounts.add_session(device(user))
    await store.accounts.add_key(key_of(user))
    await store.accounts.add_identity(user.id, identity)
    await store.accounts.add_reset(Reset(user.id, b"r" * 32, later))
    entry = ORIGIN.entry("account.deleted", user.id)
    assert await store.accounts.remove_user(user.id, (entry,))
    assert not await store.accounts.remove_user(user.id)
    assert await store.accounts.user(user.id) is None
    assert await store.accounts.user_secret(user.email) is None
    assert await store.accounts.session(b"t" * 32) is None
    assert await store.accounts.key(b"k" * 32) is None
    assert await store.accounts.identity(identity.issuer, identity.subject) is None
    assert await store.accounts.use_reset(b"r" * 32, "new") is None
    assert (await recorded(store))[0] == entry
    again = await store.accounts.add_user(someone(user.email), "hash")
    await store.accounts.add_identity(again.id, identity)
    assert again.id != user.id


@check
async def deletions_are_listed_until_forgotten(store: Store) -> None:
    root, user = await two(store)
    talks = [await begin(store, owner=user.id) for _ in range(3)]
    trashed = msgspec.structs.replace(talks[0].header, deleted_at=datetime.now(UTC))
    await talks[0].write("conversation.updated", header=trashed)
    other = await begin(store, owner=root.id)
    await store.accounts.remove_user(user.id)
    (deletion,) = await store.accounts.deletions()
    assert deletion.user == user.id
    assert abs(datetime.now(UTC) - deletion.at) < timedelta(minutes=1)
    assert set(await store.accounts.owned(user.id, 10)) == {talk.id for talk in talks}
    assert len(await store.accounts.owned(user.id, 2)) == 2
    for talk in talks:
        await store.purge(talk.id)
    assert await store.accounts.owned(user.id, 10) == []
    assert await store.accounts.owned(root.id, 10) == [other.id]
    await store.accounts.forget_deletion(user.id)
    await store.accounts.forget_deletion(user.id)
    assert await store.accounts.deletions() == []


@check
async def conflict_of_one_change_leaves_others_alone(store: Store) -> None:
    """In one commit with it, at best."""
    _, user = await two(store)
    outcomes: list[str] = []

    async def change(name: str, email: str) -> None:
        try:
            await store.accounts.set_user(user.id, UserChange(name=name, email=email))
            outcomes.append("changed")
        except ConflictError:
            outcomes.append("refused")

    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(change, f"Name {number}", f"{number}@example.org")
            nursery.start_soon(change, "Thief", "root@example.org")
    assert sorted(outcomes) == ["changed"] * 4 + ["refused"] * 4
    found = await store.accounts.user(user.id)
    assert found is not None
    assert found.name != "Thief"
