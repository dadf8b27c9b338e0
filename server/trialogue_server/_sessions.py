"""Sessions: a random token in a cookie, of which only the SHA-256 is stored, and a small cache in front of the store.

A token is 256 random bits, so its plain hash is as good as a slow one. The cache spares the store a read per request; it
is left out of account when a session ends in this process, and for at most ``FRESH`` seconds when it ends in another.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections import OrderedDict
from datetime import UTC, datetime, timedelta

import trio

from trialogue import Principal, Session, Store, TrialogueError, User, new_id
from trialogue_server._call import Call

log = logging.getLogger(__name__)

#: The prefix has the browser refuse the cookie unless it is Secure, for the whole site and set by this very host.
SECURE_NAME, PLAIN_NAME = "__Host-trialogue", "trialogue"
FRESH = 10.0
CACHED = 4_096
#: A session that is used lives on; that is written down once an hour, not with every request.
TOUCHED = timedelta(hours=1)
#: The store decides when a session is over; the cookie merely outlives it, as long as browsers let it.
COOKIE_SECONDS = 400 * 24 * 3600


class Sessions:
    """The sessions of one store. ``days`` without use end a login."""

    def __init__(self, store: Store, days: float) -> None:
        self._store = store.accounts
        self._life = timedelta(days=days)
        # token hash -> (session, account, when it was read), most recently used last
        self._cache: OrderedDict[bytes, tuple[Session, User, float]] = OrderedDict()
        #: Grows when a session ends: what was read from the store before that is not to be remembered.
        self._ended = 0

    def __repr__(self) -> str:
        return f"<Sessions cached={len(self._cache)}>"

    async def find(self, call: Call, *, secure: bool) -> Principal | None:
        """Whose cookie the call carries, if it is one of ours and still good. Raises ``StorageError``."""
        token = _cookie(call, SECURE_NAME if secure else PLAIN_NAME)
        if token is None:
            return None
        key = hashlib.sha256(token.encode("latin-1")).digest()
        session, user = await self._read(key) or (None, None)
        now = datetime.now(UTC)
        if session is None or user is None or session.expires_at <= now:
            return None
        if now - session.seen_at > TOUCHED:
            await self._touch(key, session, now)
        return Principal(user, session.id)

    async def begin(self, user: User, call: Call, *, address: str, secure: bool) -> tuple[Session, str]:
        """A new session and the ``Set-Cookie`` that carries it. Raises ``StorageError``."""
        token, now = secrets.token_urlsafe(32), datetime.now(UTC)
        session = Session(
            id=new_id(),
            user=user.id,
            token_hash=hashlib.sha256(token.encode()).digest(),
            created_at=now,
            expires_at=now + self._life,
            seen_at=now,
            agent=call.header("user-agent")[:200],
            address=address,
        )
        await self._store.add_session(session)
        return session, _set_cookie(token, COOKIE_SECONDS, secure)

    async def end(self, session: str) -> None:
        """The session is over, at once in this process. Raises ``StorageError``."""
        await self._store.drop_session(session)
        self._ended += 1
        for key in [key for key, (kept, _, _) in self._cache.items() if kept.id == session]:
            del self._cache[key]

    def forget_cookie(self, *, secure: bool) -> str:
        """The ``Set-Cookie`` that removes the cookie."""
        return _set_cookie("", 0, secure)

    async def _touch(self, key: bytes, session: Session, now: datetime) -> None:
        # Read anew after this, with its new times.
        self._cache.pop(key, None)
        try:
            await self._store.touch_session(session.id, now, now + self._life)
        except TrialogueError as error:
            log.warning("session %s was used, which could not be stored: %s", session.id, error)

    async def _read(self, key: bytes) -> tuple[Session, User] | None:
        cached, now = self._cache.get(key), trio.current_time()
        if cached is not None and now - cached[2] < FRESH:
            self._cache.move_to_end(key)
            return cached[0], cached[1]
        ended = self._ended
        found = await self._store.session(key)
        # What does not exist is not remembered: guesses would fill the cache.
        self._cache.pop(key, None)
        if found is not None and ended == self._ended:
            self._remember(key, *found, now)
        return found

    def _remember(self, key: bytes, session: Session, user: User, now: float) -> None:
        self._cache[key] = (session, user, now)
        self._cache.move_to_end(key)
        if len(self._cache) > CACHED:
            self._cache.popitem(last=False)


def _cookie(call: Call, name: str) -> str | None:
    for pair in call.header("cookie").split(";"):
        key, found, value = pair.strip().partition("=")
        if found and key == name:
            return value or None
    return None


def _set_cookie(token: str, seconds: int, secure: bool) -> str:
    name, rest = (SECURE_NAME, "; Secure") if secure else (PLAIN_NAME, "")
    return f"{name}={token}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Lax{rest}"
