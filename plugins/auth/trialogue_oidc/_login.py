"""The flow: away with state, nonce and a PKCE challenge; back with a code; for the code an ID token; in it a person."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import httpx2
import msgspec
import trio

from trialogue import BrokenError, Departure, Identity, Person, RedirectLogin, UnauthenticatedError
from trialogue_oidc._http import ask
from trialogue_oidc._metadata import Metadata, Publication
from trialogue_oidc._settings import OidcSettings
from trialogue_oidc._token import key_name, verified_claims


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """What the browser keeps for us while it is away."""

    state: str
    nonce: str
    verifier: str


class OidcLogin(RedirectLogin):
    """Logging in at one provider. The HTTP client is opened when it is first needed."""

    def __init__(self, settings: OidcSettings) -> None:
        self.name = settings.name
        self.title = settings.title
        self.links_verified_email = settings.links_verified_email
        self.registers = settings.registers
        self._settings = settings
        self._client: httpx2.AsyncClient | None = None
        self._publication: Publication | None = None
        self._opening = trio.Lock()

    def __repr__(self) -> str:
        return f"<OidcLogin {self.name!r} {self._settings.issuer!r}>"

    async def depart(self, callback: str) -> Departure:
        metadata = await (await self._published()).metadata()
        kept = Kept(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(kept.verifier.encode()).digest()).rstrip(b"=").decode()
        question = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": callback,
            "scope": self._settings.scopes,
            "state": kept.state,
            "nonce": kept.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        address = metadata.authorization_endpoint
        url = f"{address}{'&' if '?' in address else '?'}{urlencode(question)}"
        return Departure(url, base64.urlsafe_b64encode(msgspec.json.encode(kept)).rstrip(b"=").decode())

    async def arrive(self, callback: str, kept: str, query: Mapping[str, str]) -> Person:
        ours = _read_kept(kept)
        if not hmac.compare_digest(query.get("state", "").encode(), ours.state.encode()):
            raise UnauthenticatedError("this answer belongs to another attempt: log in again")
        publication = await self._published()
        metadata = await publication.metadata()
        self._check_issuer(metadata, query)
        if "error" in query:
            raise UnauthenticatedError(f"{self.title} says {query['error'][:64]!r}: log in again")
        if not query.get("code"):
            raise UnauthenticatedError("the answer holds no code: log in again")
        said = await self._redeem(metadata, callback, query["code"], ours.verifier)
        token = said.get("id_token")
        if not isinstance(token, str):
            raise BrokenError(f"{self.title} gave no ID token: is openid among the scopes?")
        claims = verified_claims(
            token,
            await publication.key(key_name(token)),
            issuer=self._settings.issuer,
            client_id=self._settings.client_id,
            nonce=ours.nonce,
        )
        if "email" not in claims:
            claims = await self._user_info(metadata, said.get("access_token"), claims)
        return _person(self._settings.issuer, claims)

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    # --- parts -------------------------------------------------------------------------------------------------------

    def _check_issuer(self, metadata: Metadata, query: Mapping[str, str]) -> None:
        named = query.get("iss")
        missing = named is None and metadata.authorization_response_iss_parameter_supported
        if missing or named not in (None, self._settings.issuer):
            raise UnauthenticatedError("this answer is of another provider: log in again")

    async def _redeem(self, metadata: Metadata, callback: str, code: str, verifier: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": callback,
            "code_verifier": verifier,
            "client_id": self._settings.client_id,
        }
        secret, auth = self._settings.client_secret, None
        if secret is not None and "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            # RFC 6749 2.3.1: both are form-encoded before they are put together.
            auth = (quote(self._settings.client_id, safe=""), quote(secret, safe=""))
        elif secret is not None:
            form["client_secret"] = secret
        assert self._client is not None
        status, said = await ask(self._client, metadata.token_endpoint, form=form, auth=auth)
        if status == 200:
            return said
        problem = str(said.get("error", ""))[:64]
        if problem == "invalid_grant":
            raise UnauthenticatedError("the code has expired or was used before: log in again")
        raise BrokenError(f"{self.title} answered {status} {problem!r} to the code: check client id and secret")

    async def _user_info(self, metadata: Metadata, access: object, claims: dict[str, Any]) -> dict[str, Any]:
        """Claims together with those that are only to be had by asking. They count if they are of the same person."""
        if metadata.userinfo_endpoint is None or not isinstance(access, str):
            return claims
        assert self._client is not None
        headers = {"authorization": f"Bearer {access}"}
        status, said = await ask(self._client, metadata.userinfo_endpoint, headers=headers)
        return {**said, **claims} if status == 200 and said.get("sub") == claims["sub"] else claims

    async def _published(self) -> Publication:
        async with self._opening:
            if self._publication is None:
                # Reading the certificates takes a while.
                self._client = await trio.to_thread.run_sync(_open_client)
                self._publication = Publication(self._settings.issuer, self._client)
            return self._publication


def _open_client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(follow_redirects=False, timeout=None)  # `ask` has the deadline


def _read_kept(kept: str) -> Kept:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(kept + "=" * (-len(kept) % 4)), type=Kept)
    except (ValueError, msgspec.MsgspecError) as error:
        raise UnauthenticatedError("the browser did not keep what it was given: log in again") from error


def _person(issuer: str, claims: Mapping[str, Any]) -> Person:
    email, name = claims.get("email"), claims.get("name") or claims.get("preferred_username")
    return Person(
        Identity(issuer, claims["sub"]),
        email=email if isinstance(email, str) else None,
        email_verified=claims.get("email_verified") is True,
        name=name if isinstance(name, str) else "",
    )
