"""The plugin that reads the person from a proxy's headers."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from trialogue import ConfigurationError, Identity, Person, UnauthenticatedError
from trialogue_proxy import trialogue_header_logins

ALL = {
    "TRIALOGUE_PROXY_USER_HEADER": "Remote-User",
    "TRIALOGUE_PROXY_EMAIL_HEADER": "Remote-Email",
    "TRIALOGUE_PROXY_NAME_HEADER": "Remote-Name",
}


def identify(headers: Mapping[str, str], settings: Mapping[str, str] = ALL) -> Person | None:
    (login,) = trialogue_header_logins(settings)
    return login.identify(headers)


def test_person_is_read_from_the_headers() -> None:
    headers = {"remote-user": "ada", "remote-email": "ada@example.org", "remote-name": "Zoë".encode().decode("latin-1")}
    assert identify(headers) == Person(Identity("proxy", "ada"), "ada@example.org", True, "Zoë")


def test_user_that_is_an_address_needs_no_other_header() -> None:
    found = identify({"remote-user": "ada@example.org"}, {"TRIALOGUE_PROXY_USER_HEADER": "Remote-User"})
    assert found == Person(Identity("proxy", "ada@example.org"), "ada@example.org", True)


@pytest.mark.parametrize("headers", [{}, {"remote-user": ""}, {"remote-user": " "}, {"remote-name": "Ada"}])
def test_nobody_is_named(headers: Mapping[str, str]) -> None:
    assert identify(headers) is None


@pytest.mark.parametrize("value", ["\xff", "a\x00b", "x" * 256, "\u202eada".encode().decode("latin-1")])
def test_what_is_no_name_is_refused(value: str) -> None:
    with pytest.raises(UnauthenticatedError, match="remote-user"):
        identify({"remote-user": value})


@pytest.mark.parametrize(
    "settings",
    [
        {"TRIALOGUE_PROXY_USER_HEADER": "Remote User"},
        {"TRIALOGUE_PROXY_USER": "Remote-User"},
        {"TRIALOGUE_PROXY_NAME_HEADER": "Remote-Name"},
        {"TRIALOGUE_PROXY_USER_HEADER": "Remote-User", "TRIALOGUE_PROXY_REGISTRATION": "yes"},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: Mapping[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        trialogue_header_logins(settings)


def test_without_settings_there_is_nothing() -> None:
    assert trialogue_header_logins({"TRIALOGUE_PORT": "1"}) == []
