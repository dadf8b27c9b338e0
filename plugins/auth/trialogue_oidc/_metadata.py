"""What a provider publishes about itself (OpenID Connect Discovery 1.0): its addresses and its keys, kept for a while."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx2
import jwt
import msgspec
import trio

from trialogue import BrokenError
from trialogue_oidc._http import ask
from trialogue_oidc._settings import is_private_address

#: Seconds for which metadata and keys are good.
LASTS = 3600.0
#: Keys are asked for again when a token names one we do not have, and no more often than this, whoever sends such tokens.
KEYS_AGAIN = 30.0


class Metadata(msgspec.Struct, frozen=True):
    """The fields we use; the rest is not looked at."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    #: Whether the answer names its issuer (RFC 9207), which then must be the right one.
    authorization_response_iss_parameter_supported: bool = False


class Publication:
    """Metadata and keys of one issuer. Several tasks that need them at once ask once."""

    def __init__(self, issuer: str, client: httpx2.AsyncClient) -> None:
        self._issuer = issuer
        self._client = client
        self._metadata: Metadata | None = None
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._metadata_until = self._keys_until = self._keys_since = float("-inf")
        self._asking = trio.Lock()

    def __repr__(self) -> str:
        return f"<Publication {self._issuer!r} keys={len(self._keys)}>"

    async def metadata(self) -> Metadata:
        """The provider's addresses. Raises ``BrokenError``."""
        async with self._asking:
            if self._metadata is None or trio.current_time() >= self._metadata_until:
                self._metadata = await self._ask_metadata()
                self._metadata_until = trio.current_time() + LASTS
            return self._metadata

    async def key(self, name: str | None) -> jwt.PyJWK | None:
        """The key a token names, or the only one there is. Raises ``BrokenError``."""
        uri = (await self.metadata()).jwks_uri
        async with self._asking:
            now = trio.current_time()
            unknown = name not in self._keys and now >= self._keys_since + KEYS_AGAIN
            if now >= self._keys_until or unknown:
                self._keys = await self._ask_keys(uri)
                self._keys_since, self._keys_until = now, now + LASTS
        if name is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(name)

    async def _ask_metadata(self) -> Metadata:
        url = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
        status, said = await ask(self._client, url)
        if status != 200:
            raise BrokenError(f"{url!r} answered {status}: is the issuer right?")
        try:
            found = msgspec.convert(said, Metadata)
        except msgspec.ValidationError as error:
            raise BrokenError(f"{url!r} is no metadata of an OpenID provider: {error}") from error
        if found.issuer != self._issuer:
            raise BrokenError(f"{url!r} names the issuer {found.issuer[:200]!r}, not {self._issuer!r}: set that one")
        for address in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri, found.userinfo_endpoint):
            if address is not None and not _is_safe(address):
                raise BrokenError(f"{url!r} names {address[:200]!r}, which is no https address")
        return found

    async def _ask_keys(self, uri: str) -> dict[str | None, jwt.PyJWK]:
        status, said = await ask(self._client, uri)
        try:
            # Any: of each kind of key its own fields.
            listed = msgspec.convert(said.get("keys"), list[dict[str, Any]])
        except msgspec.ValidationError as error:
            raise BrokenError(f"{uri!r} answered {status} without keys") from error
        keys: dict[str | None, jwt.PyJWK] = {}
        for one in listed:
            name = one.get("kid")
            if one.get("use", "sig") != "sig" or not (name is None or isinstance(name, str)):
                continue
            try:
                keys[name] = jwt.PyJWK(one)
            except jwt.PyJWTError:
                continue  # of a kind we cannot use; the others may do
        return keys


def _is_safe(address: str) -> bool:
    try:
        return urlsplit(address).scheme == "https" or is_private_address(address)
    except ValueError:
        return False
