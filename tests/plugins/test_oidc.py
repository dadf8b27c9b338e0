"""The OpenID Connect plugin against a certified provider, and against answers that nobody honest sends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from plugins.oidc.real import CLIENT, SECRET, open_provider, query_of, walk

from trialogue import BrokenError, ConfigurationError, Identity, Person, RedirectLogin, UnauthenticatedError
from trialogue_oidc import _http, _metadata, trialogue_redirect_logins
from trialogue_oidc._metadata import Publication
from trialogue_oidc._token import key_name, verified_claims

CALLBACK = "http://127.0.0.1:9/api/auth/oidc/work/callback"


def variables(issuer: str, **more: str) -> Mapping[str, str]:
    return {
        "TRIALOGUE_OIDC_PROVIDERS": "work",
        "TRIALOGUE_OIDC_WORK_ISSUER": issuer,
        "TRIALOGUE_OIDC_WORK_CLIENT_ID": CLIENT,
        "TRIALOGUE_OIDC_WORK_CLIENT_SECRET": SECRET,
        **{f"TRIALOGUE_OIDC_WORK_{key}": value for key, value in more.items()},
    }


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with open_provider(CALLBACK) as issuer:
        yield issuer


@pytest.fixture
async def login(issuer: str) -> AsyncIterator[RedirectLogin]:
    (login,) = trialogue_redirect_logins(variables(issuer))
    yield login
    await login.aclose()


@pytest.fixture
async def browser() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient() as browser:
        yield browser


async def test_person_comes_back(login: RedirectLogin, browser: httpx2.AsyncClient, issuer: str) -> None:
    departure = await login.depart(CALLBACK)
    back = await walk(browser, departure.url, CALLBACK, "ada")
    person = await login.arrive(CALLBACK, departure.kept, query_of(back))
    assert person == Person(Identity(issuer, "ada"), "ada@example.org", True, "Person ada")


async def test_what_the_token_lacks_is_asked_for(browser: httpx2.AsyncClient) -> None:
    with open_provider(CALLBACK, thin_tokens=True) as issuer:
        (login,) = trialogue_redirect_logins(variables(issuer))
        departure = await login.depart(CALLBACK)
        back = await walk(browser, departure.url, CALLBACK, "unverified-bob")
        person = await login.arrive(CALLBACK, departure.kept, query_of(back))
        await login.aclose()
    assert (person.email, person.email_verified) == ("unverified-bob@example.org", False)


async def test_code_is_good_once(login: RedirectLogin, browser: httpx2.AsyncClient) -> None:
    departure = await login.depart(CALLBACK)
    back = query_of(await walk(browser, departure.url, CALLBACK, "ada"))
    await login.arrive(CALLBACK, departure.kept, back)
    with pytest.raises(UnauthenticatedError, match="used before"):
        await login.arrive(CALLBACK, departure.kept, back)


async def test_answer_of_another_attempt_is_refused(login: RedirectLogin, browser: httpx2.AsyncClient) -> None:
    mine, other = await login.depart(CALLBACK), await login.depart(CALLBACK)
    back = query_of(await walk(browser, other.url, CALLBACK, "mallory"))
    with pytest.raises(UnauthenticatedError, match="another attempt"):
        await login.arrive(CALLBACK, mine.kept, back)
    # A state that was guessed does not help: the provider holds the code to the challenge.
    state = query_of(mine.url)["state"]
    with pytest.raises(UnauthenticatedError):
        await login.arrive(CALLBACK, mine.kept, back | {"state": state})


@pytest.mark.parametrize("kept", ["", "!", "e30", "A" * 1000, "WzEsMiwzXQ"])
async def test_lost_or_forged_cookie_is_refused(login: RedirectLogin, kept: str) -> None:
    with pytest.raises(UnauthenticatedError):
        await login.arrive(CALLBACK, kept, {"state": "", "code": "x"})


async def test_refusal_is_told(login: RedirectLogin) -> None:
    departure = await login.depart(CALLBACK)
    query = {"state": query_of(departure.url)["state"], "error": "access_denied"}
    with pytest.raises(UnauthenticatedError):
        await login.arrive(CALLBACK, departure.kept, query)


async def test_wrong_issuer_of_an_answer_is_refused(login: RedirectLogin, browser: httpx2.AsyncClient) -> None:
    departure = await login.depart(CALLBACK)
    back = query_of(await walk(browser, departure.url, CALLBACK, "ada"))
    assert back["iss"]
    for wrong in ({"iss": "https://elsewhere.example"}, {}):
        query = {name: value for name, value in back.items() if name != "iss"} | wrong
        with pytest.raises(UnauthenticatedError, match="another provider"):
            await login.arrive(CALLBACK, departure.kept, query)


async def test_wrong_secret_is_the_operators_to_mend(issuer: str, browser: httpx2.AsyncClient) -> None:
    (login,) = trialogue_redirect_logins(variables(issuer, CLIENT_SECRET="wrong"))
    departure = await login.depart(CALLBACK)
    back = query_of(await walk(browser, departure.url, CALLBACK, "ada"))
    with pytest.raises(BrokenError, match="client id and secret") as caught:
        await login.arrive(CALLBACK, departure.kept, back)
    assert "wrong" not in str(caught.value)
    await login.aclose()


async def test_provider_that_is_away_or_another_is_said() -> None:
    (login,) = trialogue_redirect_logins(variables("http://127.0.0.1:9"))
    with pytest.raises(BrokenError, match="cannot be asked"):
        await login.depart(CALLBACK)
    await login.aclose()


@pytest.mark.parametrize("address", ["https://[x", "http://elsewhere.example", "https://\ud800"])
async def test_address_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    issuer = "https://a.example"
    answers = {
        f"{issuer}/.well-known/openid-configuration": {
            "issuer": issuer,
            "authorization_endpoint": issuer,
            "token_endpoint": issuer,
            "jwks_uri": address,
        }
    }

    async def ask(client: httpx2.AsyncClient, url: str) -> tuple[int, dict[str, Any]]:
        return (200, answers[url]) if url in answers else await _http.ask(client, url)

    monkeypatch.setattr(_metadata, "ask", ask)
    async with httpx2.AsyncClient() as client:
        with pytest.raises(BrokenError):
            await Publication(issuer, client).key("k")


async def test_key_whose_name_is_none_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    good = {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key())), "kid": "k"}

    async def ask(client: httpx2.AsyncClient, url: str) -> tuple[int, dict[str, Any]]:
        names = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
        return 200, {"keys": [{**good, "kid": ["x"]}, good], **dict.fromkeys(names, "https://a.example")}

    monkeypatch.setattr(_metadata, "ask", ask)
    async with httpx2.AsyncClient() as client:
        publication = Publication("https://a.example", client)
        assert (await publication.key("k")) is not None
        assert (await publication.key("x")) is None


async def test_issuer_must_be_the_one_that_is_named(issuer: str) -> None:
    (login,) = trialogue_redirect_logins(variables(issuer + "/"))
    with pytest.raises(BrokenError, match="names the issuer"):
        await login.depart(CALLBACK)
    await login.aclose()


# --- tokens ----------------------------------------------------------------------------------------------------------

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = jwt.PyJWK({**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key())), "alg": "RS256"})
NOW = 2_000_000_000
GOOD: dict[str, object] = {"iss": "https://i", "aud": "me", "sub": "ada", "nonce": "n", "iat": NOW, "exp": NOW + 1e8}


def verify(token: str, key: jwt.PyJWK | None = PUBLIC) -> Mapping[str, object]:
    key_name(token)
    return verified_claims(token, key, issuer="https://i", client_id="me", nonce="n")


def signed(**changes: object) -> str:
    claims = {"iat": 1, "exp": 10**10, **{k: v for k, v in GOOD.items() if k not in ("iat", "exp")}, **changes}
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, KEY, "RS256")


def test_good_token_is_taken() -> None:
    assert verify(signed())["sub"] == "ada"
    assert verify(signed(aud=["me", "you"], azp="me"))["sub"] == "ada"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other"},
        {"aud": "you"},
        {"aud": ["me", "you"]},
        {"azp": "you"},
        {"nonce": "other"},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"iat": 10**10},
        {"nbf": 10**10},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 256},
    ],
    ids=str,
)
def test_token_that_does_not_hold_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UnauthenticatedError):
        verify(signed(**changes))


def test_signature_must_prove_something() -> None:
    unsigned = jwt.encode(GOOD, "", "none")
    shared = jwt.encode(GOOD, "a secret of thirty-two characters", "HS256")
    other = jwt.encode(GOOD, rsa.generate_private_key(public_exponent=65537, key_size=2048), "RS256")
    for token in (unsigned, shared, other, "", "a.b.c", signed()[:-4] + "AAAA", "\ud800"):
        with pytest.raises(UnauthenticatedError):
            verify(token)
    with pytest.raises(UnauthenticatedError, match="does not publish"):
        verify(signed(), None)


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"TRIALOGUE_OIDC_WORK_ISSUER": ""}, "ISSUER is not set"),
        ({"TRIALOGUE_OIDC_WORK_ISSUER": "http://login.example"}, "https"),
        ({"TRIALOGUE_OIDC_WORK_CLIENT_ID": ""}, "CLIENT_ID is not set"),
        ({"TRIALOGUE_OIDC_WORK_SCOPES": "email"}, "openid"),
        ({"TRIALOGUE_OIDC_WORK_LINK": "yes"}, "verified-email"),
        ({"TRIALOGUE_OIDC_WORK_TITEL": "x"}, "TITEL"),
        ({"TRIALOGUE_OIDC_PROVIDERS": "a b"}, "'a b'"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(changes: Mapping[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        trialogue_redirect_logins({**variables("https://login.example"), **changes})


def test_without_settings_there_is_nothing() -> None:
    assert trialogue_redirect_logins({}) == []


def test_secrets_are_not_shown() -> None:
    (login,) = trialogue_redirect_logins(variables("https://login.example"))
    assert SECRET not in repr(login) + repr(vars(login))
