"""Passphrases keep what an authenticator promises."""

from __future__ import annotations

from trialogue_wordmill.passphrase import PassphraseAuthenticator, checked

from trialogue.testing import MemoryStore
from trialogue.testing.authenticator_kit import AuthenticatorKit


class TestPassphrase(AuthenticatorKit):
    secret, other = "the quick brown mill", "grinds over lazy words"
    misfits = ("password1234567", "mill mill mill mill", "a b c d", "two\nlines of many words", "so many words " * 100)

    def authenticator(self, store: MemoryStore) -> PassphraseAuthenticator:
        return PassphraseAuthenticator(store.accounts, cost=2**12)


def test_spaces_and_capitals_do_not_count() -> None:
    assert checked(" The quick  Brown mill") == checked("the quick brown mill")
