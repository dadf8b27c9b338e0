"""The account of a person whom another system vouches for: found by identity, else by address where that is allowed, else
made. And the cookie that a browser carries while it is away at that system.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import trio

from trialogue import (
    Admission,
    ConflictError,
    ForbiddenError,
    HeaderLogin,
    Origin,
    Person,
    RedirectLogin,
    Store,
    UnauthenticatedError,
    User,
    checked_email,
    checked_name,
    new_id,
    normal_email,
)
from trialogue_server._http.call import Call

#: Seconds that a browser may be away.
AWAY = 600
#: Journeys remembered as ended, so that what a browser kept is good once.
REMEMBERED = 10_000


class Logins(NamedTuple):
    """What plugins bring for logging in without a secret of ours."""

    redirects: Mapping[str, RedirectLogin] = {}
    headers: Sequence[HeaderLogin] = ()


async def account_of(
    store: Store,
    person: Person,
    login: RedirectLogin | HeaderLogin,
    *,
    is_open: bool,
    origin: Origin,
    on_linked: Callable[[str], None] = lambda _: None,
) -> User:
    """The person's account, made if need be. ``on_linked`` is told of one whose sessions and keys ended.

    Raises ``ForbiddenError`` (disabled, no address, not admitted), ``ConflictError`` (the address has an account that this
    login may not open), ``InvalidError`` (an address that is none), ``StorageError``.
    """
    identity = person.identity
    user = await store.accounts.identity(identity.issuer, identity.subject)
    if user is None:
        user = await _linked(store, person, login, origin)
        if user is not None:
            on_linked(user.id)
    if user is None:
        user = await _made(store, person, Admission(origin=origin, is_open=is_open or login.registers))
    if user.disabled:
        raise ForbiddenError("this account is disabled: ask the administrator")
    return user


async def _linked(store: Store, person: Person, login: RedirectLogin | HeaderLogin, origin: Origin) -> User | None:
    if person.email is None:
        return None
    user = await store.accounts.user_by_email(normal_email(person.email))
    if user is None:
        return None
    # Whoever can have any address vouched for elsewhere would otherwise be anyone here.
    if isinstance(login, HeaderLogin):
        raise ForbiddenError("the address the proxy names has an account with a password: ask the administrator")
    # Beyond ASCII one spelling stands for several mailboxes: straße.example and strasse.example have different owners.
    if not (login.links_verified_email and person.email_verified and person.email.isascii()):
        raise ConflictError(f"{person.email[:254]!r} has an account already: log in with its password")
    await _take_from_strangers(store, user, origin)
    entry = origin.entry("identity.added", user.id, detail=person.identity.issuer)
    await store.accounts.add_identity(user.id, person.identity, (entry,))
    # As it is now: what begins with the account of before would count as begun before its secret changed.
    return await store.accounts.user(user.id)


async def _take_from_strangers(store: Store, user: User, origin: Origin) -> None:
    """End all that let in so far: we never asked whose the address was, and somebody may have been here before its owner."""
    await store.accounts.change_secret(user.id, None, audit=(origin.entry("password.changed", user.id, detail="none"),))
    for key in await store.accounts.keys(user.id):
        await store.accounts.drop_key(key.id, (origin.entry("key.revoked", user.id, thing=key.id),))


async def _made(store: Store, person: Person, admission: Admission) -> User:
    if person.email is None:
        raise ForbiddenError("an account needs an address, and none was given: ask the administrator")
    email = checked_email(person.email)
    name = person.name if person.name.isprintable() else ""
    user = User(new_id(), email, checked_name(name[:200], email), "user", datetime.now(UTC))
    try:
        return await store.accounts.add_user(user, None, admission, person.identity)
    except ConflictError:
        # Two first logins of one person at once: the other made it.
        found = await store.accounts.identity(person.identity.issuer, person.identity.subject)
        if found is None:
            raise
        return found


class Journeys:
    """Browsers that are away. What each has to bring back is in its own cookie; here is only what came back already."""

    def __init__(self) -> None:
        # digest of what was kept -> when it may be forgotten
        self._ended: OrderedDict[bytes, float] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Journeys ended={len(self._ended)}>"

    def cookie(self, kept: str, to: str, *, secure: bool) -> str:
        """The ``Set-Cookie`` for a browser that leaves and wants to end up at ``to``, an address within the page."""
        return _cookie(f"{to.encode().hex()}.{kept}", AWAY, secure=secure)

    def forget_cookie(self, *, secure: bool) -> str:
        """The ``Set-Cookie`` for one that came back."""
        return _cookie("", 0, secure=secure)

    def end(self, call: Call, *, secure: bool) -> tuple[str, str]:
        """What the browser kept, and where it wants to end up. Raises ``UnauthenticatedError``: nothing, or again."""
        prefix = cookie_name(secure=secure) + "="
        pairs = (pair.strip() for pair in call.header("cookie").split(";"))
        value = next((pair.removeprefix(prefix) for pair in pairs if pair.startswith(prefix)), "")
        to, _, kept = value.partition(".")
        if not kept:
            raise UnauthenticatedError("this browser did not set out from here, or ten minutes ago: log in again")
        self._once(hashlib.sha256(kept.encode("latin-1")).digest())
        try:
            return kept, safe_target(bytes.fromhex(to).decode())
        except ValueError:
            return kept, "/"

    def _once(self, digest: bytes) -> None:
        now = trio.current_time()
        while self._ended and (len(self._ended) > REMEMBERED or next(iter(self._ended.values())) < now):
            self._ended.popitem(last=False)
        if digest in self._ended:
            raise UnauthenticatedError("this answer was used already: log in again")
        self._ended[digest] = now + AWAY


def cookie_name(*, secure: bool) -> str:
    """As with the session's cookie: the prefix has the browser refuse one that another host set."""
    return "__Host-trialogue-away" if secure else "trialogue-away"


def safe_target(path: str) -> str:
    """``path`` if it leads nowhere but into this server's own page, else the page's beginning."""
    plain = path.isascii() and path.isprintable() and "\\" not in path and len(path) <= 500
    return path if plain and path.startswith("/") and not path.startswith("//") else "/"


def _cookie(value: str, seconds: int, *, secure: bool) -> str:
    # Lax, not Strict: the browser comes back from another site, by a link.
    attributes = f"Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"
    return f"{cookie_name(secure=secure)}={value}; {attributes}"
