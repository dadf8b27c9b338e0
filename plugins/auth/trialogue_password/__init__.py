"""Accounts with an address and a password, kept as argon2id hashes in the store.

    _rules          what a password must look like
    _hashing        argon2id in worker threads, bounded
    _authenticator  registering, logging in, changing and resetting

Throttling failed logins is the server's, which knows the caller's address and sees every authenticator.
"""

from __future__ import annotations

from collections.abc import Sequence

from trialogue import Authenticator, Store, hookimpl


@hookimpl
def trialogue_authenticators(store: Store) -> Sequence[Authenticator]:
    """One authenticator, ``password``."""
    from trialogue_password._authenticator import PasswordAuthenticator

    return [PasswordAuthenticator(store)]
