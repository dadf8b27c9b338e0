"""What can be asked: the models of every provider that answers."""

from __future__ import annotations

from datetime import datetime

import msgspec

from trialogue import Health, HealthStatus, Model
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Route


class ShownModel(Model, frozen=True, kw_only=True):
    """A model, and how it does: `ok`, `degraded` (some of what it is asked fails), `down` (it failed too often, and is not
    asked at present), or `unknown` (nobody has asked it of late). ``since`` and ``reason`` tell of that. Each process judges
    for itself.
    """

    health: HealthStatus
    since: datetime | None = None
    reason: str | None = None


class Models(msgspec.Struct, frozen=True):
    """What can be asked, and the id of what is asked when nothing is said: null when there is none."""

    models: tuple[ShownModel, ...]
    default: str | None


async def list_models(services: Services, call: Call) -> Reply:
    """``GET /api/models``: list the models, how they do, and the one that is asked when nothing is said."""
    await services.principal(call)
    models = await services.engine.models()
    shown = tuple(_shown(model, services.engine.health(model.id)) for model in models)
    return json_reply(Models(shown, services.engine.default_model))


def _shown(model: Model, health: Health) -> ShownModel:
    told = msgspec.structs.asdict(model)
    return ShownModel(**told, health=health.status, since=health.since, reason=health.reason)


ROUTES = (Route("GET", "/api/models", list_models, reply=Models),)
