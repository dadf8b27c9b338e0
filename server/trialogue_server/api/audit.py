"""For administrators: the audit log. What is written into it is ``_callers.trail``'s, and the store's."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from trialogue import Action, AuditEntry
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._http.links import next_page
from trialogue_server._http.queries import Limit, PageCursor, read_query
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Route
from trialogue_server.api._account_bodies import Moment

#: Longest page.
MOST = 200


class AuditQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}):
    """Which entries of the audit log."""

    limit: Limit = 50
    cursor: PageCursor | None = None
    action: Annotated[Action | None, Meta(description="What was done.")] = None
    actor: Annotated[str | None, Meta(description="Id of the account that did it.")] = None
    subject: Annotated[str | None, Meta(description="Id of the account it was done to.")] = None
    since: Annotated[Moment | None, Meta(description="Not before this time.")] = None
    until: Annotated[Moment | None, Meta(description="Before this time.")] = None


class Audit(msgspec.Struct, frozen=True):
    """Entries of the audit log, newest first."""

    entries: tuple[AuditEntry, ...]
    cursor: str | None
    has_more: bool


async def show_audit(services: Services, call: Call) -> Reply:
    """``GET /api/admin/audit``: read who did what to which account, from where, newest first."""
    await services.principal(call)
    query = read_query(call, AuditQuery)
    page = await services.accounts.audit(
        limit=min(query.limit, MOST),
        cursor=query.cursor,
        action=query.action,
        actor=query.actor,
        subject=query.subject,
        since=query.since,
        until=query.until,
    )
    body = Audit(page.entries, page.cursor, page.cursor is not None)
    return json_reply(body, headers=next_page(call, page.cursor))


ROUTES = (
    Route("GET", "/api/admin/audit", show_audit, access="admin", query=AuditQuery, reply=Audit, headers=("Link",)),
)
