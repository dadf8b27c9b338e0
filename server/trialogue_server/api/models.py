"""What can be asked: the models of every provider that answers."""

from __future__ import annotations

import msgspec

from trialogue import Model
from trialogue_server._call import Call, Reply, json_reply
from trialogue_server._routes import Route
from trialogue_server._services import Services


class Models(msgspec.Struct, frozen=True):
    """What can be asked, and the id of what is asked when nothing is said: null when there is none."""

    models: tuple[Model, ...]
    default: str | None


async def list_models(services: Services, call: Call) -> Reply:
    """``GET /api/models``: list the models, and the one that is asked when nothing is said."""
    await services.principal(call)
    models = await services.engine.models()
    return json_reply(Models(tuple(models), services.engine.default_model))


ROUTES = (Route("GET", "/api/models", list_models, reply=Models),)
