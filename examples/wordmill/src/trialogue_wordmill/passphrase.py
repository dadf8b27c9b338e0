"""An authenticator: accounts whose secret is a phrase of several words, kept as scrypt makes it with a salt.

Hashing takes 64 MiB and a quarter of a second or so, in a thread: four at a time, for whoever comes next has to wait. Who is
unknown is hashed for as well, so that nobody learns from the clock who has an account.
"""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

import trio

from trialogue import (
    Accounts,
    Admission,
    AuditEntry,
    Credentials,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    SecretAuthenticator,
    ThrottledError,
    UnauthenticatedError,
    User,
    checked_email,
    checked_name,
    new_id,
    normal_email,
)

#: Callers in line for a thread; who comes when they are as many is told to come back.
MOST_WAITING = 32
#: Of nobody, and as long as a real one.
DECOY = f"{'0' * 32}${'0' * 128}"


class PassphraseAuthenticator(SecretAuthenticator):
    """Accounts of one store, by address and phrase."""

    name = "passphrase"

    def __init__(self, accounts: Accounts, cost: int = 2**15) -> None:
        self._accounts = accounts
        self._cost = cost
        self._threads = trio.CapacityLimiter(4)

    def __repr__(self) -> str:
        return f"<PassphraseAuthenticator {self.statistics()}>"

    def statistics(self) -> dict[str, int]:
        threads = self._threads.statistics()
        return {"hashing": threads.borrowed_tokens, "waiting": threads.tasks_waiting}

    async def register(self, credentials: Credentials, name: str, admission: Admission) -> User:
        email, phrase = checked_email(credentials.email), checked(credentials.secret)
        user = User(new_id(), email, checked_name(name, email), "user", datetime.now(UTC))
        return await self._accounts.add_user(user, await self._hash(phrase), admission)

    async def login(self, credentials: Credentials) -> User:
        found = await self._accounts.user_secret(normal_email(credentials.email))
        user, kept = found or (None, None)
        salt = (kept or DECOY).partition("$")[0]
        made = await self._hash(normal(credentials.secret), salt)
        if user is None or kept is None or not secrets.compare_digest(made, kept):
            raise UnauthenticatedError("the address or the phrase is wrong: check both and try again")
        return user

    async def change_secret(
        self, user: User, secret: str, keep: str | None, audit: Sequence[AuditEntry]
    ) -> Sequence[str]:
        ended = await self._accounts.change_secret(user.id, await self._hash(checked(secret)), keep, audit)
        if ended is None:
            raise NotFoundError("the account is gone")
        return ended

    async def reset_secret(
        self, token_hash: bytes, secret: str, audit: Sequence[AuditEntry]
    ) -> tuple[User, Sequence[str]]:
        done = await self._accounts.use_reset(token_hash, await self._hash(checked(secret)), audit)
        if done is None:
            raise ForbiddenError("this reset was used or is too old: ask the administrator for a new one")
        return done

    async def _hash(self, phrase: str, salt: str = "") -> str:
        if self._threads.statistics().tasks_waiting >= MOST_WAITING:
            raise ThrottledError("too many people are logging in: try again in a few seconds", retry_after=5.0)
        salt = salt or secrets.token_hex(16)

        def hashed() -> bytes:
            data = phrase.encode(errors="surrogatepass")
            return hashlib.scrypt(data, salt=salt.encode(), n=self._cost, r=8, p=1, maxmem=2**27)

        return f"{salt}${(await trio.to_thread.run_sync(hashed, limiter=self._threads)).hex()}"


def normal(phrase: str) -> str:
    """However it is spaced, and in whichever case: nobody remembers that."""
    return " ".join(phrase[:1_000].casefold().split())


def checked(phrase: str) -> str:
    """The phrase as it is hashed. Raises ``InvalidError``, which does not repeat it."""
    if len(phrase) > 1_000 or not phrase.isprintable():
        raise InvalidError("the phrase has to be at most 1,000 printable characters", pointer="/password")
    words = normal(phrase).split()
    if len(set(words)) < 4 or len("".join(words)) < 15:
        raise InvalidError("the phrase is too easy: take four different words, or more", pointer="/password")
    return " ".join(words)
