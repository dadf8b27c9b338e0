"""What makes an ID token good (OpenID Connect Core 1.0, 3.1.3.7): who signed it, for whom, when, and in answer to whom."""

from __future__ import annotations

import hmac
from typing import Any

import jwt

from trialogue import UnauthenticatedError

#: Signatures by a key that only the provider has. "none" and those by a shared secret are not among them.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
#: Seconds by which the provider's clock may differ from ours.
SKEW = 60


def key_name(token: str) -> str | None:
    """Which key a token says it was signed with; not yet believed. Raises ``UnauthenticatedError``."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, UnicodeError) as error:
        raise _bad("cannot be read") from error
    if header.get("alg") not in ALGORITHMS:
        raise _bad("is signed in a way that proves nothing")
    name = header.get("kid")
    return name if isinstance(name, str) else None


def verified_claims(
    token: str, key: jwt.PyJWK | None, *, issuer: str, client_id: str, nonce: str
) -> dict[str, Any]:  # Any: claims are of all types
    """What the token says, once it is sure who says it. Raises ``UnauthenticatedError``."""
    if key is None:
        raise _bad("is signed with a key its issuer does not publish")
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            audience=client_id,
            issuer=issuer,
            leeway=SKEW,
            options={"require": ["exp", "iat", "iss", "aud", "sub"]},
        )
    except jwt.ExpiredSignatureError as error:
        raise _bad("has expired, or one of the two clocks is wrong") from error
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise _bad(f"does not hold ({type(error).__name__})") from error
    if (claims["aud"] not in (client_id, [client_id]) or "azp" in claims) and claims.get("azp") != client_id:
        raise _bad("was made for another application")
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise _bad("answers another request")
    if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= 255:
        raise _bad("names nobody")
    return claims


def _bad(why: str) -> UnauthenticatedError:
    return UnauthenticatedError(f"the ID token {why}: log in again")
