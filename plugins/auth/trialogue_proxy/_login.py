"""Which headers name the person, and what they may hold."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from trialogue import ConfigurationError, HeaderLogin, Identity, Person, UnauthenticatedError

PREFIX = "TRIALOGUE_PROXY_"
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_LONGEST = 255


class ProxySettings(msgspec.Struct, frozen=True):
    """Header names in lower case."""

    user: str
    email: str | None
    name: str | None
    registers: bool = False


def read_settings(environment: Mapping[str, str]) -> ProxySettings | None:
    """The settings, or ``None`` when no header is named. Raises ``ConfigurationError`` for what cannot be meant."""
    given: dict[str, str] = {}
    for variable, value in sorted(environment.items()):
        if not variable.startswith(PREFIX) or not value:
            continue
        key = variable.removeprefix(PREFIX)
        if key == "REGISTRATION" and value == "open":
            given[key] = value
            continue
        if key not in ("USER_HEADER", "EMAIL_HEADER", "NAME_HEADER"):
            raise ConfigurationError(f"{variable} is no setting: see the documentation of logging in by a proxy")
        if not _TOKEN.fullmatch(value):
            raise ConfigurationError(f"{variable}={value!r} is no name of a header")
        given[key] = value.lower()
    if not given:
        return None
    if "USER_HEADER" not in given:
        raise ConfigurationError(f"{PREFIX}USER_HEADER is not set, and names the person")
    return ProxySettings(
        given["USER_HEADER"], given.get("EMAIL_HEADER"), given.get("NAME_HEADER"), "REGISTRATION" in given
    )


class ProxyLogin(HeaderLogin):
    """Believes what is in the headers: who may have written them is checked before it is asked."""

    name = "proxy"

    def __init__(self, settings: ProxySettings) -> None:
        self._settings = settings
        self.registers = settings.registers

    def __repr__(self) -> str:
        return f"<ProxyLogin {self._settings.user!r}>"

    def identify(self, headers: Mapping[str, str]) -> Person | None:
        subject = _value(headers, self._settings.user)
        if not subject:
            return None
        email = _value(headers, self._settings.email) if self._settings.email else ""
        if not email and "@" in subject:
            email = subject
        return Person(Identity("proxy", subject), email or None, bool(email), _value(headers, self._settings.name))


def _value(headers: Mapping[str, str], name: str | None) -> str:
    raw = headers.get(name, "").strip() if name else ""
    try:
        # ASGI's headers are bytes, read as Latin-1; proxies write UTF-8.
        text = raw.encode("latin-1").decode()
    except UnicodeError as error:
        raise UnauthenticatedError(f"header {name!r} is not in UTF-8: check the proxy") from error
    if len(text) > _LONGEST or not (text.isprintable() or not text):
        raise UnauthenticatedError(f"header {name!r} holds what is no name: check the proxy")
    return text
