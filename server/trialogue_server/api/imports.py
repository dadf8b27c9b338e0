"""Imports: an upload is accepted at once, and its conversations are taken in one after the other; here is how far it is."""

from __future__ import annotations

import msgspec

from trialogue import ImportJob, LimitError, NotFoundError, QuotaError, ThrottledError, is_id
from trialogue_server._exchange.jobs import Importer
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._http.errors import MediaTypeError, SlowBodyError
from trialogue_server._http.uploads import Pace
from trialogue_server._serving.expiry import while_it_holds
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Route


class ImportPage(msgspec.Struct, frozen=True):
    """The caller's imports, newest first; old ones are forgotten."""

    imports: tuple[ImportJob, ...]


async def take(services: Services, call: Call) -> Reply:
    """``POST /api/import``: import conversations: 202, and the body's are taken in one after the other.

    The body is an export, as JSON or as the zip it came in: ours, ChatGPT's or Claude's, found out by its shape. Sent as
    it is, not as a form. What is here already is left alone, so that the same export may be sent again. While it is being
    taken in, it counts against the quota for files.
    """
    principal = await services.principal(call)
    media_type = call.header("content-type").partition(";")[0].strip().lower()
    if media_type.startswith("multipart/"):
        raise MediaTypeError("send the export itself as the body, not a form: application/json or application/zip")
    if call.header("content-encoding").strip().lower() not in ("", "identity"):
        raise MediaTypeError("the body must not be compressed: a zip is taken as it is")
    config = services.config
    pace = Pace(config.upload_stall_seconds, config.upload_min_rate, config.upload_max_seconds)
    async with while_it_holds(services, call, principal):
        job = await _importer(services).take(principal, call, pace)
    return json_reply(job, 202, (("Location", f"/api/import/{job.id}"),))


async def list_imports(services: Services, call: Call) -> Reply:
    """``GET /api/import``: list one's imports."""
    principal = await services.principal(call)
    return json_reply(ImportPage(tuple(await _importer(services).of(principal.user.id))))


async def show(services: Services, call: Call) -> Reply:
    """``GET /api/import/{id}``: see how far an import is, and what could not be taken in, with reasons."""
    return json_reply(await _job(services, call))


async def cancel(services: Services, call: Call) -> Reply:
    """``DELETE /api/import/{id}``: stop an import; what was taken in stays. One that is over stays as it is."""
    await _importer(services).cancel(await _job(services, call))
    return Reply(204)


async def _job(services: Services, call: Call) -> ImportJob:
    principal, name = await services.principal(call), call.arguments["id"]
    job = await _importer(services).get(name) if is_id(name) else None
    if job is None or job.owner != principal.user.id:
        raise NotFoundError(f"there is no import {name[:64]!r}")
    return job


def _importer(services: Services) -> Importer:
    if services.importer is None:
        raise NotFoundError("this server takes no imports")
    return services.importer


ROUTES = (
    Route("GET", "/api/import", list_imports, reply=ImportPage),
    Route(
        "POST",
        "/api/import",
        take,
        direct=True,
        content={
            "application/json": "An export of this server, or the `conversations.json` of another's.",
            "application/zip": "An archive that holds such a document.",
        },
        reply=ImportJob,
        status=202,
        headers=("Location",),
        problems=(LimitError, QuotaError, MediaTypeError, SlowBodyError, ThrottledError, NotFoundError),
    ),
    Route("GET", "/api/import/<id>", show, reply=ImportJob),
    Route("DELETE", "/api/import/<id>", cancel, status=204),
)
