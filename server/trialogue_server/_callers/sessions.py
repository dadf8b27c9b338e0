"""Sessions: a random token in a cookie."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from trialogue import Accounts, AuditEntry, Principal, Session, TrialogueError, User, new_id
from trialogue_server._callers.tokens import Cache, hash_of, new_token
from trialogue_server._http.call import Call

log = logging.getLogger(__name__)

#: The prefix has the browser refuse the cookie unless it is Secure, for the whole site and set by this very host.
SECURE_NAME, PLAIN_NAME = "__Host-trialogue", "trialogue"
#: A session that is used lives on; that is written down once an hour, not with every request.
TOUCHED = timedelta(hours=1)
#: The store decides when a session is over; the cookie merely outlives it, as long as browsers let it.
COOKIE_SECONDS = 400 * 24 * 3600


class Sessions:
    """The sessions of one store. ``days`` without use end a login; an account has ``most`` of them."""

    def __init__(self, accounts: Accounts, days: float, most: int = 100) -> None:
        self._accounts = accounts
        self._life = timedelta(days=days)
        self._most = most
        self.cache: Cache[Session] = Cache(accounts.session)

    def __repr__(self) -> str:
        return f"<Sessions cached={len(self.cache)}>"

    async def find(self, call: Call, *, secure: bool) -> Principal | None:
        """Whose cookie the call carries, if it is one of ours and still good. Raises ``StorageError``."""
        token = _cookie(call, SECURE_NAME if secure else PLAIN_NAME)
        if token is None:
            return None
        key = hash_of(token)
        session, user = await self.cache.find(key) or (None, None)
        now = datetime.now(UTC)
        if session is None or user is None or not session.admits(user, now):
            return None
        if now - session.seen_at > TOUCHED:
            await self._touch(key, session, now)
        return Principal(user, session.id)

    async def begin(
        self, user: User, call: Call, *, address: str, secure: bool, audit: Sequence[AuditEntry] = ()
    ) -> tuple[Session, str, Sequence[str]]:
        """A new session, the ``Set-Cookie`` that carries it, and the sessions that ended in its favour.

        Raises ``StorageError``.
        """
        token, now = new_token(), datetime.now(UTC)
        session = Session(
            id=new_id(),
            user=user.id,
            token_hash=hash_of(token),
            created_at=now,
            expires_at=now + self._life,
            seen_at=now,
            agent=call.header("user-agent")[:200],
            address=address,
            epoch=user.epoch,
        )
        ended = await self._accounts.add_session(session, self._most, audit)
        self.forget(ended)
        return session, _set_cookie(token, COOKIE_SECONDS, secure), ended

    async def end(self, session: str, audit: Sequence[AuditEntry] = ()) -> bool:
        """The session is over, at once in this process. Whether there was one. Raises ``StorageError``."""
        ended = await self._accounts.drop_session(session, audit)
        self.forget([session])
        return ended

    def forget(self, sessions: Sequence[str]) -> None:
        """They have ended in the store."""
        self.cache.forget_where(lambda session, _: session.id in sessions)

    def forget_cookie(self, *, secure: bool) -> str:
        """The ``Set-Cookie`` that removes the cookie."""
        return _set_cookie("", 0, secure)

    async def _touch(self, key: bytes, session: Session, now: datetime) -> None:
        # First of all, so that requests that come meanwhile do not do it as well.
        self.cache.change(key, replace(session, seen_at=now, expires_at=now + self._life))
        try:
            await self._accounts.touch_session(session.id, now, now + self._life)
        except TrialogueError as error:
            log.warning("session %s was used, which could not be stored: %s", session.id, error)


def _cookie(call: Call, name: str) -> str | None:
    for pair in call.header("cookie").split(";"):
        key, found, value = pair.strip().partition("=")
        if found and key == name:
            return value or None
    return None


def _set_cookie(token: str, seconds: int, secure: bool) -> str:
    name, rest = (SECURE_NAME, "; Secure") if secure else (PLAIN_NAME, "")
    return f"{name}={token}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Lax{rest}"
