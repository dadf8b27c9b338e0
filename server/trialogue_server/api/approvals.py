"""Approvals: saying whether a tool call may be made. From any device, and after any restart: all of it stands in the log."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from trialogue import AnswerApproval, Conversation, InvalidError, NotFoundError, ToolCallPart, is_id, written
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._http.json_limits import check_json
from trialogue_server._http.requests import read_struct
from trialogue_server._serving.services import Services
from trialogue_server._surface.routes import Route


class ApprovalBody(msgspec.Struct, forbid_unknown_fields=True):
    """``POST /api/approvals/{id}``. ``edit`` approves the call with other ``arguments``; ``reason`` is told to the model."""

    decision: Literal["approve", "deny", "edit"]
    arguments: dict[str, Any] | None = None  # Any JSON object: what the tool takes.
    reason: Annotated[str, Meta(max_length=2_000)] | None = None


class Approved(msgspec.Struct, frozen=True):
    """What was decided, and where its events begin: in the conversation's stream, behind ``seq``."""

    conversation: str
    call: str
    decision: Literal["approve", "deny", "edit"]
    run: str | None
    seq: int


async def answer(services: Services, call: Call) -> Reply:
    """``POST /api/approvals/{id}``: say whether a tool call may be made; saying the same again changes nothing.

    The id is that of the call, as ``approval.asked`` has it. Whoever decides otherwise than was decided is told 409.
    """
    header, name = await _waiting(services, call)
    body = await read_struct(call, ApprovalBody)
    if (body.decision == "edit") != (body.arguments is not None):
        raise InvalidError("arguments go with the decision 'edit', and only with that", pointer="/arguments")
    check_json(body.arguments, "/arguments")
    arguments = None if body.arguments is None else msgspec.json.encode(body.arguments).decode()
    command = AnswerApproval(name, datetime.now(UTC), name, body.decision, arguments, body.reason)
    receipt = await services.engine.submit(header.id, command)
    return json_reply(Approved(header.id, name, body.decision, receipt.run, receipt.seq))


async def _waiting(services: Services, call: Call) -> tuple[Conversation, str]:
    """The conversation of the call that the path names. Raises ``NotFoundError`` when it is not the caller's."""
    principal, name = await services.principal(call), call.arguments["id"]
    missing = NotFoundError(f"there is no tool call {name[:80]!r}")
    answer, _, part = name.rpartition("-")
    message = await services.store.message(answer) if is_id(answer) and _is_number(part) else None
    header = await services.store.header(message.conversation) if message is not None else None
    if message is None or header is None or header.owner != principal.user.id:
        raise missing
    call.facts["conversation"] = header.id
    parts = (await written(services.store, message)).parts
    if not any(isinstance(one, ToolCallPart) and one.call == name for one in parts):
        raise missing
    return header, name


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 9


ROUTES = (Route("POST", "/api/approvals/<id>", answer, body=ApprovalBody, reply=Approved),)
