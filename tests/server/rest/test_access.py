"""Every route there is, walked as nobody, as somebody else, with keys of each scope, and as no administrator.

The routing table says who may use a route; here every route is asked whether it does as its row says. A new route is walked
without being named here; a new kind of argument must be told how to be made, or the walk fails.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest
from rest import Server, read_events, serve

from trialogue import new_id
from trialogue_clock import current_time
from trialogue_echo import EchoProvider
from trialogue_server._surface.routes import Route
from trialogue_server.api import BLUEPRINTS

ROUTES = [route for routes in BLUEPRINTS.values() for route in routes]
GUARDED = [route for route in ROUTES if route.needed != "public"]
ADMIN = [route for route in ROUTES if route.needed == "admin"]
NAMED = [route for route in GUARDED if "<" in route.path and route.needed != "admin"]

TOOL = current_time.name
Make = Callable[[httpx2.AsyncClient], Awaitable[str]]


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


# --- how arguments are made --------------------------------------------------------------------------------------


async def conversation(client: httpx2.AsyncClient) -> str:
    name: str = (await client.post("/api/conversations", json={})).json()["id"]
    return name


async def message(client: httpx2.AsyncClient) -> str:
    url = f"/api/conversations/{await conversation(client)}/messages"
    name: str = (await client.post(url, json={"text": "Hello", "respond": False})).json()["message"]
    return name


async def file(client: httpx2.AsyncClient) -> str:
    name: str = (await client.post("/api/upload", files={"file": ("a.txt", b"Hello")})).json()["files"][0]["id"]
    return name


async def session(client: httpx2.AsyncClient) -> str:
    name: str = (await client.get("/api/auth/sessions")).json()["sessions"][0]["id"]
    return name


async def key(client: httpx2.AsyncClient) -> str:
    name: str = (await client.post("/api/auth/keys", json={"name": "k"})).json()["key"]["id"]
    return name


async def upload(client: httpx2.AsyncClient) -> str:
    answer = await client.post("/api/import", content=b"[]", headers={"Content-Type": "application/json"})
    assert answer.status_code == 202, answer.text
    name: str = answer.json()["id"]
    return name


async def share(client: httpx2.AsyncClient) -> str:
    """Of a conversation of its own: one that is not the caller's is refused before its shares are looked at."""
    return new_id()


async def approval(client: httpx2.AsyncClient) -> str:
    body = {"text": "[[call=current_time rate=0]]", "model": "echo:echo", "tools": [{"name": TOOL, "approval": "ask"}]}
    answer = await client.post(f"/api/conversations/{await conversation(client)}/messages", json=body)
    call: str = (await read_events(client, answer.headers["location"], "approval.asked"))[-1]["call"]
    return call


#: What ``<id>`` stands for, by the piece of the path before it; and every other argument by its name.
OBJECTS: Mapping[str, Make] = {
    "conversations": conversation,
    "messages": message,
    "files": file,
    "sessions": session,
    "keys": key,
    "import": upload,
    "share": share,
    "approvals": approval,
}


def kinds(path: str) -> list[str]:
    """The kind of each argument of a path: the piece before it."""
    return re.findall(r"/([\w.]+)/<", path)


async def filled(path: str, client: httpx2.AsyncClient | None) -> str:
    """The path with things of the client's in it; with ids of nothing if there is no client."""
    for kind in kinds(path):
        value = new_id() if client is None else await OBJECTS[kind](client)
        path = re.sub(r"<(\w+:)?\w+>", value, path, count=1)
    return path


@pytest.mark.parametrize("route", NAMED, ids=name_of)
def test_every_kind_of_argument_can_be_made(route: Route) -> None:
    assert len(kinds(route.path)) == route.path.count("<")
    unknown = set(kinds(route.path)) - set(OBJECTS)
    assert not unknown, f"tell OBJECTS how to make one of {unknown}, so that others can be seen not to find it"


# --- how a route is asked ----------------------------------------------------------------------------------------


class Answer(NamedTuple):
    """The head of an answer, and its code if it is a problem."""

    status: int
    code: str
    headers: httpx2.Headers


async def asked(client: httpx2.AsyncClient, route: Route, path: str, **headers: str) -> Answer:
    """Ask, and read no more of the answer than has to be: some never end."""
    sent = {"Content-Type": "multipart/form-data; boundary=x" if route.upload else "application/json", **headers}
    if route.nameless:
        sent["Via"] = "1.1 proxy"  # From elsewhere: who asks on the machine itself, as tests do, is let in.
    content = None if route.method == "GET" else b"--x--\r\n" if route.upload else b"{}"
    async with client.stream(route.method, path, content=content, headers=sent) as answer:
        problem = answer.headers["content-type"] == "application/problem+json"
        code = json.loads(await answer.aread())["code"] if problem else ""
        return Answer(answer.status_code, code, answer.headers)


#: Asked for a stream, some routes take another way through the server.
ACCEPTS = ("*/*", "text/event-stream")


class House(NamedTuple):
    """A server, its administrator, somebody else, and that one's keys by scope."""

    server: Server
    ada: httpx2.AsyncClient
    eve: httpx2.AsyncClient
    root_keys: dict[str, str]
    keys: dict[str, str]


@asynccontextmanager
async def opened(folder: Path) -> AsyncGenerator[House]:
    async with (
        serve(files=folder, others=[EchoProvider()], tools=[current_time]) as server,
        server.user("ada") as ada,
        server.user("eve") as eve,
    ):
        yield House(
            server,
            ada,
            eve,
            {scope: await token(ada, scope) for scope in ("read", "write", "admin")},
            {scope: await token(eve, scope) for scope in ("read", "write")},
        )


async def token(client: httpx2.AsyncClient, scope: str) -> str:
    made: str = (await client.post("/api/auth/keys", json={"name": scope, "scopes": [scope]})).json()["token"]
    return made


@pytest.fixture
async def house(tmp_path: Path) -> AsyncGenerator[House]:
    async with opened(tmp_path / "files") as house:
        yield house


# --- the walks ---------------------------------------------------------------------------------------------------


async def test_nobody_gets_in(house: House) -> None:
    async with house.server.client() as nobody:
        for route in GUARDED:
            path = await filled(route.path, None)
            for accept in ACCEPTS:
                answer = await asked(nobody, route, path, Accept=accept)
                assert (answer.status, answer.code) == (401, "unauthenticated"), name_of(route)
                assert answer.headers["www-authenticate"].startswith("Bearer"), name_of(route)
            wrong = await asked(nobody, route, path, Authorization="Bearer tl_" + "x" * 43)
            assert wrong.status in (401, 429), name_of(route)


async def test_anothers_things_do_not_exist(house: House) -> None:
    """The same answer as for what does not exist at all, so that nothing is learnt by asking."""
    for route in NAMED:
        theirs, nothing = await filled(route.path, house.ada), await filled(route.path, None)
        for accept in ACCEPTS:
            found = await asked(house.eve, route, theirs, Accept=accept)
            missed = await asked(house.eve, route, nothing, Accept=accept)
            assert (found.status, found.code) == (404, "not_found"), name_of(route)
            assert (missed.status, missed.code) == (404, "not_found"), name_of(route)


async def test_administration_is_for_administrators(house: House) -> None:
    for route in ADMIN:
        answer = await asked(house.eve, route, await filled(route.path, None))
        assert (answer.status, answer.code) == (403, "forbidden"), name_of(route)


async def test_key_is_good_for_its_scope_alone(house: House) -> None:
    """An administrator's, so that nothing but the scope is in the way."""
    async with house.server.client() as script:
        for route in GUARDED:
            path = await filled(route.path, None)
            for scope, bearer in house.root_keys.items():
                for accept in ACCEPTS:
                    answer = await asked(script, route, path, Authorization=f"Bearer {bearer}", Accept=accept)
                    where = f"{name_of(route)} with {scope}"
                    if route.needed == "account":
                        assert (answer.status, answer.code) == (403, "forbidden"), where
                    elif route.needed != scope:
                        assert (answer.status, answer.code) == (403, "scope"), where
                        assert f'scope="{route.needed}"' in answer.headers["www-authenticate"], where
                    else:
                        assert answer.status not in (401, 403), where


async def test_plain_users_key_administers_nothing(house: House) -> None:
    async with house.server.client() as script:
        for route in ADMIN:
            for bearer in house.keys.values():
                answer = await asked(script, route, await filled(route.path, None), Authorization=f"Bearer {bearer}")
                assert answer.status == 403, name_of(route)


async def test_other_sites_change_nothing_with_a_cookie(house: House) -> None:
    for route in GUARDED:
        if route.method != "GET":
            answer = await asked(house.ada, route, await filled(route.path, None), Origin="http://evil.example")
            assert (answer.status, answer.code) == (403, "origin"), name_of(route)
