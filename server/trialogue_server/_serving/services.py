"""What every handler is given: the engine, the settings, and the answers to "who is calling" and "whose is this"."""

from __future__ import annotations

from trialogue import (
    Conversation,
    ForbiddenError,
    Library,
    Limiter,
    MessageView,
    NotFoundError,
    Origin,
    Principal,
    Searcher,
    SecretAuthenticator,
    UnauthenticatedError,
    is_id,
)
from trialogue_server._callers.keys import Keys, bearer_token
from trialogue_server._callers.lately import Lately
from trialogue_server._callers.limiter import LocalLimiter
from trialogue_server._callers.logins import Journeys, account_of
from trialogue_server._callers.peer import Peers
from trialogue_server._callers.quotas import Quotas
from trialogue_server._callers.sessions import Sessions
from trialogue_server._callers.trail import Trail
from trialogue_server._cluster.answering import Answering
from trialogue_server._http.call import Call
from trialogue_server._seeing import Seeing
from trialogue_server._serving.bounds import Held, Tries
from trialogue_server._serving.endings import Endings
from trialogue_server._serving.parts import Parts
from trialogue_server._serving.shared_look import SharedLook
from trialogue_server._serving.turns import Turns
from trialogue_server._surface.access import check_access
from trialogue_server._surface.cors import Cors

#: Long branches gone through at a time for files behind links: each is pages of one reader of the store.
_BRANCHES = 4
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Services:
    """Lives as long as the app; handlers keep nothing of their own between requests."""

    def __init__(self, parts: Parts) -> None:
        engine, config = parts.engine, parts.config
        self.engine = engine
        self.store = engine.store
        self.accounts = engine.store.accounts
        #: To be told of to administrators; who asks them for something has done so before.
        self.plugins = parts.plugins
        #: What takes exports in; ``None`` where nothing is imported.
        self.importer = parts.importer
        #: Without one that makes vectors, by words alone.
        self.searcher = parts.searcher or Searcher(engine.store.index)
        self.config = config
        self.hub = parts.hub
        self.peers = Peers(
            public_url=config.public_url,
            trusted_origins=(*config.trusted_origins, *config.cors_origins),
            trusted_proxies=config.trusted_proxies,
        )
        self.sessions = Sessions(self.accounts, config.session_days, config.sessions_per_user)
        #: What each user has open, and what may be tried how often.
        self.held = Held(config)
        self.tries = Tries(config)
        self.keys = Keys(self.accounts, self.tries.keys)
        self.endings = Endings(engine, self.sessions, self.keys, parts.hub)
        self.trail = Trail(self.accounts)
        self.cors = Cors(config.cors_origins)
        #: How often who may ask.
        counts: Limiter = LocalLimiter()
        self.quotas = Quotas(config, parts.soft.limiter(counts) if parts.soft is not None else counts, self.peers)
        #: What is seen of the process, and nowhere else.
        self.seeing = parts.seeing or Seeing()
        #: What processes share, if anything.
        self.soft = parts.soft
        #: Ways in without a secret of ours, and browsers that are away on one of them.
        self.logins = parts.logins
        self.journeys = Journeys()
        #: Files that links were seen to show: going through a long branch takes a third of a second, and anyone may ask.
        self.shown_files = Lately(10.0)
        #: One branch of each owner at a time, so that those who ask at once for the same find it there.
        self.branch_scan = Turns(_BRANCHES)
        #: What stands in the way of being ready, in words that only the log is told.
        self.ailing: dict[str, str] = {}
        #: Looks at the disks, whoever asks whether we are ready: they write, and anybody may ask.
        self.storage_check = SharedLook(engine.store.check)
        self.files_check = None if engine.library is None else SharedLook(engine.library.blobs.check)
        self._authenticators = parts.authenticators
        #: What other nodes ask of this one, if they may.
        signer = None if engine.cluster is None or parts.part is None else parts.part.signer
        self.answering = None if signer is None else Answering(engine, signer)

    def authenticator(self) -> SecretAuthenticator:
        """The one that takes an address and a secret. Raises ``ForbiddenError`` when no plugin brings one."""
        for authenticator in self._authenticators:
            if isinstance(authenticator, SecretAuthenticator):
                return authenticator
        raise ForbiddenError("no plugin for logging in is loaded: see `trialogue plugins`")

    @property
    def takes_secrets(self) -> bool:
        """Whether one may log in with an address and a secret."""
        return any(isinstance(authenticator, SecretAuthenticator) for authenticator in self._authenticators)

    def library(self) -> Library:
        """The files. Raises ``NotFoundError`` when this server keeps none."""
        if self.engine.library is None:
            raise NotFoundError("this server keeps no files")
        return self.engine.library

    # --- who is calling ------------------------------------------------------------------------------------------

    def origin(self, call: Call, principal: Principal | None = None) -> Origin:
        """What the audit log is told of where a change comes from."""
        actor = None if principal is None else principal.user.id
        return Origin(actor, self.peers.address(call), call.request_id)

    async def find_principal(self, call: Call) -> Principal | None:
        """Who is calling, if anyone we know: by a key if it shows one, else by its cookie.

        Raises ``WrongKeyError``, ``OriginError`` when another site's page sent what changes things (which no page can do
        with a key), ``ThrottledError``, ``StorageError``.
        """
        token = bearer_token(call)
        if token is not None:
            return await self.keys.find(token, self.peers.network(call))
        principal = await self._vouched(call)
        if principal is None:
            principal = await self.sessions.find(call, secure=self.peers.is_secure(call))
        if principal is not None and call.method not in _SAFE:
            self.peers.check_origin(call)
        return principal

    async def _vouched(self, call: Call) -> Principal | None:
        """Whom a trusted proxy names, if there is one that does."""
        if not self.logins.headers or not self.peers.is_trusted(call):
            return None
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in call.scope["headers"]}
        for login in self.logins.headers:
            person = login.identify(headers)
            if person is not None:
                is_open = self.config.registration == "open"
                origin = self.origin(call)
                return Principal(await account_of(self.store, person, login, is_open=is_open, origin=origin))
        return None

    async def principal(self, call: Call) -> Principal:
        """Who is calling, and may use the route. Raises ``UnauthenticatedError``, ``ForbiddenError``, and as above."""
        principal = await self.find_principal(call)
        if principal is not None:
            call.facts["user"] = principal.user.id
            if principal.key is not None:
                call.facts["key"] = principal.key
        await self.quotas.count(call, principal)
        if principal is None:
            raise UnauthenticatedError("log in first: POST /api/auth/login gives a session cookie")
        assert call.route is not None, "whoever answers a call says first by which route"
        check_access(principal, call.route)
        return principal

    async def conversation(self, call: Call) -> tuple[Principal, Conversation]:
        """The caller, and the conversation the path names. Raises ``NotFoundError`` when it is not the caller's."""
        principal, name = await self.principal(call), call.arguments["id"]
        header = await self.owned(principal, name, acting=call.method not in _SAFE)
        call.facts["conversation"] = name
        return principal, header

    async def owned(self, principal: Principal, conversation: str, *, acting: bool = False) -> Conversation:
        """The conversation, without messages. Raises ``NotFoundError`` when it is not the principal's.

        Who is ``acting`` is going to ask its owner anyhow, and may see it as the owner does; what is shown is the store's.
        """
        find = self.engine.header if acting else self.store.header
        header = await find(conversation) if is_id(conversation) else None
        if header is None or header.owner != principal.user.id:
            raise no_conversation(conversation)
        return header

    async def message(self, call: Call) -> MessageView:
        """The message the path names, and its conversation. Raises ``NotFoundError`` when it is not the caller's."""
        principal = await self.principal(call)
        name = call.arguments["id"]
        found = await self.store.message_view(name) if is_id(name) else None
        if found is None or found.header.owner != principal.user.id:
            raise no_message(name)
        call.facts["conversation"] = found.header.id
        return found


def no_conversation(conversation: str) -> NotFoundError:
    """The same words for one that does not exist and for another's."""
    return NotFoundError(f"there is no conversation {conversation[:64]!r}")


def no_message(message: str) -> NotFoundError:
    """As ``no_conversation``."""
    return NotFoundError(f"there is no message {message[:64]!r}")
