"""What every handler is given: the engine, the settings, and the answers to "who is calling" and "whose is this"."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from trialogue import (
    Authenticator,
    Conversation,
    Engine,
    ForbiddenError,
    Message,
    NotFoundError,
    Principal,
    SecretAuthenticator,
    UnauthenticatedError,
    is_id,
)
from trialogue_server._call import Call
from trialogue_server._hub import Hub
from trialogue_server._peer import Peers
from trialogue_server._sessions import Sessions
from trialogue_server._slots import Slots
from trialogue_server._throttle import Throttle
from trialogue_server.config import Config

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Services:
    """Lives as long as the app; handlers keep nothing of their own between requests."""

    def __init__(self, engine: Engine, authenticators: Sequence[Authenticator], config: Config, hub: Hub) -> None:
        self.engine = engine
        self.store = engine.store
        self.config = config
        self.hub = hub
        self.peers = Peers(
            public_url=config.public_url,
            trusted_origins=config.trusted_origins,
            trusted_proxies=config.trusted_proxies,
        )
        self.sessions = Sessions(engine.store, config.session_days)
        #: Streams that each user has open.
        self.streams = Slots(config.streams_per_user, "streams_per_user")
        #: Failed logins. A person errs a few times; behind one address there may be an office.
        self.account_failures = Throttle("failed logins for this account", burst=10, seconds=30)
        self.address_failures = Throttle("failed logins from this address", burst=50, seconds=6)
        #: Registrations each cost a password hash and a row for ever.
        self.registrations = Throttle("registrations from this address", burst=100, seconds=10)
        #: One look at the disk at a time, whoever asks whether we are ready.
        self.storage_check = trio.Lock()
        self._authenticators = authenticators

    def authenticator(self) -> SecretAuthenticator:
        """The one that takes an address and a secret. Raises ``ForbiddenError`` when no plugin brings one."""
        for authenticator in self._authenticators:
            if isinstance(authenticator, SecretAuthenticator):
                return authenticator
        raise ForbiddenError("no plugin for logging in is loaded: see `trialogue plugins`")

    def close_streams(self, session: str) -> None:
        """End the session's streams at once."""
        self.hub.close_where(lambda tag: tag.session == session)

    async def find_principal(self, call: Call) -> Principal | None:
        """Who is calling, if anyone we know. Raises ``OriginError`` when another site's page sent what changes things."""
        principal = await self.sessions.find(call, secure=self.peers.is_secure(call))
        if principal is not None and call.method not in _SAFE:
            self.peers.check_origin(call)
        return principal

    async def principal(self, call: Call) -> Principal:
        """Who is calling. Raises ``UnauthenticatedError``, ``OriginError``."""
        principal = await self.find_principal(call)
        if principal is None:
            raise UnauthenticatedError("log in first: POST /api/auth/login gives a session cookie")
        return principal

    async def conversation(self, call: Call) -> tuple[Principal, Conversation]:
        """The caller, and the conversation the path names. Raises ``NotFoundError`` when it is not the caller's."""
        principal = await self.principal(call)
        return principal, await self.owned(principal, call.arguments["id"])

    async def owned(self, principal: Principal, conversation: str) -> Conversation:
        """The conversation, without messages. Raises ``NotFoundError`` when it is not the principal's."""
        header = await self.store.header(conversation) if is_id(conversation) else None
        if header is None or header.owner != principal.user.id:
            raise no_conversation(conversation)
        return header

    async def message(self, call: Call) -> tuple[Message, Conversation]:
        """The message the path names, and its conversation. Raises ``NotFoundError`` when it is not the caller's."""
        principal = await self.principal(call)
        name = call.arguments["id"]
        message = await self.store.message(name) if is_id(name) else None
        header = await self.store.header(message.conversation) if message is not None else None
        if message is None or header is None or header.owner != principal.user.id:
            raise no_message(name)
        return message, header


def no_conversation(conversation: str) -> NotFoundError:
    """The same words for one that does not exist and for another's."""
    return NotFoundError(f"there is no conversation {conversation[:64]!r}")


def no_message(message: str) -> NotFoundError:
    """As ``no_conversation``."""
    return NotFoundError(f"there is no message {message[:64]!r}")
