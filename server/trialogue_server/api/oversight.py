"""What administrators see of everybody's keys, and of the bounds that hold; and taking a key away."""

from __future__ import annotations

import msgspec

from trialogue import NotFoundError, is_id
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Route
from trialogue_server.api._account_bodies import KeyList, shown_key
from trialogue_server.api.keys import revoke
from trialogue_server.config import SETTINGS


class Bound(msgspec.Struct, frozen=True):
    """A setting: its value as a configuration file has it, passwords masked, and what it is for."""

    name: str
    value: str
    default: str
    doc: str


class BoundList(msgspec.Struct, frozen=True):
    """Every setting of this process."""

    settings: tuple[Bound, ...]


async def list_keys(services: Services, call: Call) -> Reply:
    """``GET /api/admin/users/{id}/keys``: list somebody's API keys, without their tokens."""
    await services.principal(call)
    name = call.arguments["id"]
    if not is_id(name) or await services.accounts.user(name) is None:
        raise NotFoundError(f"there is no account {name[:64]!r}: GET /api/admin/users lists them")
    return json_reply(KeyList(tuple(shown_key(key) for key in await services.accounts.keys(name))))


async def drop_key(services: Services, call: Call) -> Reply:
    """``DELETE /api/admin/keys/{id}``: revoke somebody's key at once; its live streams end."""
    principal, name = await services.principal(call), call.arguments["id"]
    key = await services.accounts.key_by_id(name) if is_id(name) else None
    if key is None:
        raise NotFoundError(f"there is no API key {name[:64]!r}: GET /api/admin/users/{{id}}/keys lists them")
    await revoke(services, services.origin(call, principal), key)
    return Reply(204)


async def list_settings(services: Services, call: Call) -> Reply:
    """``GET /api/admin/settings``: list the limits and all other settings that hold in this process."""
    await services.principal(call)
    config, usual = services.config, type(services.config)()
    bounds = tuple(Bound(one.name, one.show(config), one.show(usual), one.doc) for one in SETTINGS)
    return json_reply(BoundList(bounds))


ROUTES = (
    Route("GET", "/api/admin/users/<id>/keys", list_keys, access="admin", reply=KeyList),
    Route("DELETE", "/api/admin/keys/<id>", drop_key, access="admin", status=204),
    Route("GET", "/api/admin/settings", list_settings, access="admin", reply=BoundList),
)
