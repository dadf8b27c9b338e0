"""The operator's settings, from variables whose names hold the provider's."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from trialogue import ConfigurationError

PREFIX = "TRIALOGUE_OIDC_"
_KNOWN = ("ISSUER", "CLIENT_ID", "CLIENT_SECRET", "TITLE", "SCOPES", "LINK", "REGISTRATION")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


class OidcSettings(msgspec.Struct, frozen=True):
    """One provider."""

    name: str
    title: str
    issuer: str
    client_id: str
    client_secret: str | None
    scopes: str
    links_verified_email: bool
    registers: bool

    def __repr__(self) -> str:
        return f"OidcSettings({self.name!r}, issuer={self.issuer!r})"


def read_settings(environment: Mapping[str, str]) -> list[OidcSettings]:
    """Every provider that ``TRIALOGUE_OIDC_PROVIDERS`` names. Raises ``ConfigurationError`` for what cannot be meant."""
    names = [name.strip().lower() for name in environment.get(f"{PREFIX}PROVIDERS", "").split(",") if name.strip()]
    for name in names:
        if not _NAME.fullmatch(name):
            raise ConfigurationError(f"{PREFIX}PROVIDERS: {name!r} must consist of letters, digits and dashes")
    known = {f"{PREFIX}PROVIDERS", *(_variable(name, key) for name in names for key in _KNOWN)}
    for variable in sorted(environment):
        if variable.startswith(PREFIX) and variable not in known:
            raise ConfigurationError(f"{variable} belongs to no provider that {PREFIX}PROVIDERS names, or is misspelt")
    return [_read(name, environment) for name in dict.fromkeys(names)]


def is_private_address(url: str) -> bool:
    """Whether ``url`` leads to this very machine, where there is no wire to listen on."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read(name: str, environment: Mapping[str, str]) -> OidcSettings:
    def given(key: str) -> str:
        return environment.get(_variable(name, key), "").strip()

    for key in ("ISSUER", "CLIENT_ID"):
        if not given(key):
            raise ConfigurationError(f"{_variable(name, key)} is not set, and provider {name!r} cannot do without it")
    issuer = given("ISSUER")
    if urlsplit(issuer).scheme != "https" and not (issuer.startswith("http://") and is_private_address(issuer)):
        raise ConfigurationError(f"{_variable(name, 'ISSUER')}={issuer!r} must be an https address")
    for key, word in (("LINK", "verified-email"), ("REGISTRATION", "open")):
        if given(key) not in ("", word):
            raise ConfigurationError(f"{_variable(name, key)}={given(key)!r} must be {word}, or absent")
    scopes = given("SCOPES") or "openid email profile"
    if "openid" not in scopes.split():
        raise ConfigurationError(f"{_variable(name, 'SCOPES')}={scopes!r} must hold openid")
    return OidcSettings(
        name=name,
        title=given("TITLE") or name,
        issuer=issuer,
        client_id=given("CLIENT_ID"),
        client_secret=given("CLIENT_SECRET") or None,
        scopes=scopes,
        links_verified_email=bool(given("LINK")),
        registers=bool(given("REGISTRATION")),
    )


def _variable(name: str, key: str) -> str:
    return f"{PREFIX}{name.upper().replace('-', '_')}_{key}"
