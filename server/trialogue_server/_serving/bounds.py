"""How much one user may have open at a time, and how often one account or address may try what costs something.

How often anybody may ask at all is for ``_callers.quotas`` to say.
"""

from __future__ import annotations

from trialogue_server._callers.slots import Slots
from trialogue_server._callers.throttle import Throttle
from trialogue_server.config import Config


class Held:
    """What each user has open."""

    def __init__(self, config: Config) -> None:
        #: Live streams.
        self.streams = Slots(config.streams_per_user, "streams_per_user")
        #: WebSockets.
        self.sockets = Slots(config.sockets_per_user, "sockets_per_user", "WebSockets")
        #: Uploads under way.
        self.uploads = Slots(config.uploads_per_user, "uploads_per_user", "uploads")
        #: Exports under way: each reads all there is.
        self.exports = Slots(config.exports_per_user, "exports_per_user", "exports")


class Tries:
    """What may be tried a few times at once, and then slowly."""

    def __init__(self, config: Config) -> None:
        #: Failed logins. A person errs a few times; behind one address there may be an office.
        self.account = Throttle("failed logins for this account", burst=10, seconds=30)
        self.address = Throttle("failed logins from this address", burst=50, seconds=6)
        #: Wrong API keys. Behind one address there may be many programs, and a wrong key in one of them.
        self.keys = Throttle("wrong API keys from this address", burst=50, seconds=6)
        #: Registrations each cost a password hash and a row for ever.
        self.registrations = Throttle("registrations from this address", burst=100, seconds=10)
        #: Public links are open to everyone, and each look costs a read.
        views = config.shared_views_per_minute
        self.shared_views = Throttle(
            "requests for shared links from this address (shared_views_per_minute)", burst=views, seconds=60 / views
        )
