"""What the app stands on: opened by ``serve``, or by a test, which needs few of them. Whoever opened it closes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from trialogue import Authenticator, Engine, Plugins, Searcher, SoftState
from trialogue_server._callers.logins import Logins
from trialogue_server._cluster.opening import Part
from trialogue_server._exchange.jobs import Importer
from trialogue_server._hub import Hub
from trialogue_server._seeing import Seeing
from trialogue_server.config import Config


class Parts(NamedTuple):
    """All open."""

    engine: Engine
    hub: Hub
    config: Config
    authenticators: Sequence[Authenticator] = ()
    #: Ways in without a secret of ours.
    logins: Logins = Logins()
    #: What is shared with other processes, if anything is.
    soft: SoftState | None = None
    #: Without one, search is by words alone.
    searcher: Searcher | None = None
    #: What takes exports in; without one, nothing is imported.
    importer: Importer | None = None
    #: To be told of to administrators.
    plugins: Plugins | None = None
    #: What is seen of the process; without it, nobody looks at the loop.
    seeing: Seeing | None = None
    #: What it takes part in a cluster with.
    part: Part | None = None
