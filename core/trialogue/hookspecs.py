"""The hooks a plugin may implement. A hook *declares*: it is synchronous and cheap; what it returns does the work.

    from trialogue import Provider, hookimpl

    @hookimpl
    def trialogue_providers(environment):
        return [MyProvider(environment.get("MY_KEY"))]

A plugin is a module or object named in the entry-point group ``trialogue``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from trialogue._accounts.auth import Authenticator
    from trialogue._accounts.identity import HeaderLogin, RedirectLogin
    from trialogue._asking.provider import Provider
    from trialogue._files.extractor import Extractor
    from trialogue._runs.turns import TurnHook
    from trialogue._search.embedder import Embedder
    from trialogue._storage.checkup import Checkup
    from trialogue._storage.soft import SoftState
    from trialogue._storage.store import Store
    from trialogue._storage.transfer import Transfer
    from trialogue._tools.tools import ToolLike

hookspec: pluggy.HookspecMarker = pluggy.HookspecMarker("trialogue")
#: Decorator for a plugin's implementations.
hookimpl: pluggy.HookimplMarker = pluggy.HookimplMarker("trialogue")


@hookspec
def trialogue_providers(environment: Mapping[str, str]) -> Sequence[Provider]:  # type: ignore[empty-body]
    """The providers this plugin adds, ready to be asked; an empty list when its settings are absent.

    ``environment`` is the process's environment. Import the SDK when a provider is first used, not here.
    """


@hookspec(firstresult=True)
def trialogue_store(url: str, data_dir: Path) -> AbstractAsyncContextManager[Store] | None:
    """A store for ``url`` if its scheme is this plugin's, else ``None``. Nothing is opened until the block is entered.

    Entering migrates, verifies and opens; it raises ``ConfigurationError`` when the operator has to mend something.
    """


@hookspec(firstresult=True)
def trialogue_store_checkup(url: str, data_dir: Path) -> Checkup | None:
    """A look at the store for ``url``, which changes nothing in it and may be taken while a server has it open.

    It is for an operator who wants to know what is wrong (``trialogue doctor``). Raise ``ConfigurationError`` for a URL of
    this plugin's scheme that cannot be meant.
    """


@hookspec(firstresult=True)
def trialogue_store_transfer(url: str, data_dir: Path) -> Transfer | None:
    """What takes rows out of the store for ``url``, and into it; for backups, and for moving from one store to another.

    Nothing is opened until it is used. Raise ``ConfigurationError`` for a URL of this plugin's scheme that cannot be meant.
    """


@hookspec(firstresult=True)
def trialogue_soft_state(url: str) -> AbstractAsyncContextManager[SoftState] | None:
    """What processes share at ``url`` if its scheme is this plugin's, else ``None``. Nothing is opened until the block.

    Entering raises ``ConfigurationError`` for a URL that cannot be meant, and nothing because the place is out of reach.
    """


@hookspec
def trialogue_authenticators(store: Store) -> Sequence[Authenticator]:  # type: ignore[empty-body]
    """The authenticators this plugin adds, for accounts in ``store``."""


@hookspec
def trialogue_redirect_logins(environment: Mapping[str, str]) -> Sequence[RedirectLogin]:  # type: ignore[empty-body]
    """The places this plugin sends people to for logging in, each with a name of its own; none without its settings.

    ``environment`` is the process's environment. Nothing is asked of the other side before someone logs in.
    """


@hookspec
def trialogue_header_logins(environment: Mapping[str, str]) -> Sequence[HeaderLogin]:  # type: ignore[empty-body]
    """What reads a person from the headers of a trusted proxy; none without its settings."""


@hookspec
def trialogue_tools(environment: Mapping[str, str]) -> Sequence[ToolLike]:  # type: ignore[empty-body]
    """The tools this plugin adds, and sources of tools that come and go; an empty list when its settings are absent.

    ``environment`` is the process's environment. Of two tools with one name the later is set aside. A connection is opened
    when a tool is first called, or by a source in a task of its own, not here.
    """


@hookspec
def trialogue_turns(environment: Mapping[str, str]) -> Sequence[TurnHook]:  # type: ignore[empty-body]
    """Those of this plugin who take part in turns, in the order in which they are asked; an empty list without its settings.

    ``environment`` is the process's environment. One that raises or takes too long is gone on without.
    """


@hookspec
def trialogue_extractors() -> Sequence[Extractor]:  # type: ignore[empty-body]
    """The extractors this plugin adds: which media types it reads, and the function that does, by its name.

    The function runs in a child process without the server; ``Extractor`` says how it is called and what it returns.
    """


@hookspec
def trialogue_embedders(environment: Mapping[str, str]) -> Sequence[Embedder]:  # type: ignore[empty-body]
    """The embedders this plugin adds; an empty list when its settings are absent. One of all is used: the first, or the
    one that is configured by name.

    ``environment`` is the process's environment. Load the model when a text is first embedded, not here.
    """
