"""Wordmill for Trialogue: a provider, a tool and an authenticator, each in a file of its own.

    WORDMILL_ADDRESS=localhost:7070   where the mill is; the plugin adds no provider without it

What is declared here is cheap: nothing is connected to, and no secret hashed, before somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trialogue import Authenticator, ConfigurationError, Provider, Store, ToolLike, hookimpl
from trialogue_wordmill.dice import roll_dice
from trialogue_wordmill.passphrase import PassphraseAuthenticator
from trialogue_wordmill.provider import Wordmill


@hookimpl
def trialogue_providers(environment: Mapping[str, str]) -> Sequence[Provider]:
    """One, if it is said where the mill is."""
    address = environment.get("WORDMILL_ADDRESS", "")
    host, colon, port = address.rpartition(":")
    if not address:
        return []
    if not (host and colon and port.isdecimal()):
        raise ConfigurationError(f"WORDMILL_ADDRESS={address!r} is no host:port, as localhost:7070")
    return [Wordmill("wordmill", host, int(port))]


@hookimpl
def trialogue_tools(environment: Mapping[str, str]) -> Sequence[ToolLike]:
    """Always one; it has no settings."""
    return [roll_dice]


@hookimpl
def trialogue_authenticators(store: Store) -> Sequence[Authenticator]:
    """The first authenticator that takes a secret is used: disable the plugin ``password`` for this one."""
    return [PassphraseAuthenticator(store.accounts)]
