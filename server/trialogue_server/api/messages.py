"""What is said in a conversation: posting, editing, another attempt, going on, removing, and stopping."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
import trio
from msgspec import Meta

from trialogue import (
    BudgetError,
    Command,
    ContinueAnswer,
    Conversation,
    EditMessage,
    PostMessage,
    Receipt,
    Regenerate,
    RemoveMessage,
    Settings,
    Stop,
    ToolUse,
    is_id,
    new_id,
)
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._http.errors import ToolsError
from trialogue_server._http.queries import read_query
from trialogue_server._http.requests import (
    AttemptBody,
    EditBody,
    PostBody,
    StopBody,
    checked_id,
    read_struct,
    said_parts,
)
from trialogue_server._serving.idempotency import command_id, submit_once
from trialogue_server._serving.services import Services, no_message
from trialogue_server._surface.routes import Answer, Route
from trialogue_server.api._shapes import StreamEvent
from trialogue_server.api.files import named_files


class Accepted(msgspec.Struct, frozen=True):
    """What every 202 says: the ids to look for in the stream, and the number of the command's last event."""

    seq: int
    message: str | None
    run: str | None
    answer: str | None
    queued: bool


#: Media type of a stream of events.
EVENTS = "text/event-stream"


class StreamQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a stream goes on."""

    after: Annotated[str | None, Meta(description="Cursor of the last event that was seen, as `Last-Event-ID`.")] = None


class RemoveQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to look for it."""

    conversation: Annotated[str | None, Meta(description="Of a message that still waits for its turn.")] = None


class Stopped(msgspec.Struct, frozen=True):
    """What was stopped: ``run`` is null when none was live. ``ms`` is how long it took until nothing of it was left."""

    run: str | None
    seq: int
    ms: int
    output_tokens: int | None
    estimated: bool


async def post(services: Services, call: Call) -> Reply:
    """``POST /api/conversations/{id}/messages``: say something; 202, and where its events begin."""
    _, location, accepted = await say(services, call)
    return json_reply(accepted, 202, (("Location", location),))


async def say(services: Services, call: Call) -> tuple[Conversation, str, Accepted]:
    """Post the message in the body of ``call``; returns the conversation, the stream's address, and what was accepted."""
    principal, header = await services.conversation(call)
    body = await read_struct(call, PostBody)
    message = checked_id(body.id, "/id")
    chosen = message or command_id(call, principal.user.id, header.id, "post")
    model = await _model(services, header, body.model)
    command = PostMessage(
        id=chosen or new_id(),
        at=datetime.now(UTC),
        message=message or new_id(),
        run=new_id(),
        answer=new_id(),
        parts=await named_files(services, principal.user.id, said_parts(body)),
        model=model,
        settings=await _tools(services, model, _settings(header, body.settings), body),
        parent=body.parent,
        policy=body.policy,
        respond=body.respond,
        metadata=body.metadata,
        location=body.location,
    )
    receipt = await submit_once(services, call, header.id, command, chosen=chosen)
    cursor = await services.engine.cursor_before(header.id, receipt.first)
    return header, f"/api/conversations/{header.id}/events?after={cursor}", _accepted(receipt)


async def edit(services: Services, call: Call) -> Reply:
    """``PATCH /api/messages/{id}``: edit a message: 202, a sibling and its answer; or 200, an answer corrected."""
    found = await services.message(call)
    target, header = found.message, found.header
    body = await read_struct(call, EditBody)
    message = checked_id(body.id, "/id")
    chosen = message or command_id(call, header.owner, target.id, "edit")
    command = EditMessage(
        id=chosen or new_id(),
        at=datetime.now(UTC),
        target=target.id,
        message=message or new_id(),
        run=new_id(),
        answer=new_id(),
        parts=await named_files(services, header.owner, said_parts(body)),
        model=await _model(services, header, body.model),
        settings=_settings(header, body.settings),
        respond=body.regenerate,
    )
    return await _answer(services, call, header, command, chosen, 200 if target.role == "assistant" else 202)


async def regenerate(services: Services, call: Call) -> Reply:
    """``POST /api/messages/{id}/regenerate``: ask for another attempt at an answer, or for a first one."""
    found = await services.message(call)
    target, header = found.message, found.header
    body = await read_struct(call, AttemptBody, optional=True)
    chosen = checked_id(body.id, "/id") or command_id(call, header.owner, target.id, "regenerate")
    command = Regenerate(
        id=chosen or new_id(),
        at=datetime.now(UTC),
        target=target.id,
        run=new_id(),
        answer=new_id(),
        model=await _model(services, header, body.model),
        settings=_settings(header, body.settings),
    )
    return await _answer(services, call, header, command, chosen, 202)


async def go_on(services: Services, call: Call) -> Reply:
    """``POST /api/messages/{id}/continue``: have the answer go on from where it stopped, by its own model."""
    found = await services.message(call)
    target, header = found.message, found.header
    body = await read_struct(call, AttemptBody, optional=True)
    chosen = checked_id(body.id, "/id") or command_id(call, header.owner, target.id, "continue")
    command = ContinueAnswer(
        id=chosen or new_id(),
        at=datetime.now(UTC),
        target=target.id,
        run=new_id(),
        model=await _model(services, header, body.model or target.model),
        settings=_settings(header, body.settings),
    )
    return await _answer(services, call, header, command, chosen, 202)


async def remove(services: Services, call: Call) -> Reply:
    """``DELETE /api/messages/{id}``: remove a message and what hangs below it.

    A message that still waits for its turn is not stored as one yet: with ``?conversation=`` it is taken back.
    """
    conversation = read_query(call, RemoveQuery).conversation
    if conversation is None:
        found = await services.message(call)
        header, name = found.header, found.message.id
    else:
        header, name = await services.owned(await services.principal(call), conversation), call.arguments["id"]
        if not is_id(name):
            raise no_message(name)
    command = RemoveMessage(id=new_id(), at=datetime.now(UTC), target=name)
    await services.engine.submit(header.id, command, fresh=True)
    return Reply(204)


async def stop(services: Services, call: Call) -> Reply:
    """``POST /api/conversations/{id}/stop``: stop the answer; 200 once nothing of the run is left.

    ``run`` is null when none was live.
    """
    began = trio.current_time()
    _, header = await services.conversation(call)
    body = await read_struct(call, StopBody, optional=True)
    command = Stop(id=new_id(), at=datetime.now(UTC), run=body.run, seen=body.seen)
    receipt = await services.engine.submit(header.id, command, fresh=True)
    ms = round((trio.current_time() - began) * 1000)
    return json_reply(Stopped(receipt.run, receipt.seq, ms, receipt.output_tokens, receipt.estimated))


async def _answer(
    services: Services, call: Call, header: Conversation, command: Command, chosen: str | None, status: int
) -> Reply:
    return json_reply(_accepted(await submit_once(services, call, header.id, command, chosen=chosen)), status)


def _accepted(receipt: Receipt) -> Accepted:
    return Accepted(receipt.seq, receipt.message, receipt.run, receipt.answer, receipt.queued)


async def _model(services: Services, header: Conversation, asked: str | None) -> str:
    return await services.engine.resolve(asked or header.model)


def _settings(header: Conversation, asked: Settings | None) -> Settings:
    """The conversation's settings, with what the message says laid over them."""
    if asked is None:
        return header.settings
    said = {name: value for name, value in msgspec.structs.asdict(asked).items() if value is not None}
    return msgspec.structs.replace(header.settings, **said)


async def _tools(services: Services, model: str, settings: Settings, body: PostBody) -> Settings:
    """The settings with the tools the message asks for.

    Raises ``InvalidError`` when one is not there, ``ToolsError`` when the model calls none. What a conversation's settings
    say holds as far as it can.
    """
    if body.tools is not None:
        uses = tuple(ToolUse(one) if isinstance(one, str) else one for one in body.tools)
        settings = msgspec.structs.replace(settings, tools=uses)
    elif body.settings is None or not body.settings.tools:
        return settings
    pointer = "/settings/tools" if body.tools is None else "/tools"
    await services.engine.toolbox.look()
    services.engine.toolbox.check(settings, pointer)
    if settings.tools and not services.engine.can(model, "tools"):
        raise ToolsError(
            f"{model!r} calls no tools: ask another model (GET /api/models tells which can), or leave them out",
            pointer=pointer,
        )
    return settings


ROUTES = (
    Route(
        "POST",
        "/api/conversations/<id>/messages",
        post,
        direct=True,
        query=StreamQuery,
        body=PostBody,
        reply=Accepted,
        status=202,
        events=StreamEvent,
        headers=("Location",),
        takes=("Idempotency-Key", "Last-Event-ID"),
        also=(Answer(200, "With `Accept: text/event-stream`: the message's events.", None, EVENTS, ("Location",)),),
        problems=(BudgetError, ToolsError),
    ),
    Route(
        "PATCH",
        "/api/messages/<id>",
        edit,
        body=EditBody,
        reply=Accepted,
        status=202,
        takes=("Idempotency-Key",),
        also=(Answer(200, "An answer, corrected in place.", Accepted),),
        problems=(BudgetError,),
    ),
    Route(
        "POST",
        "/api/messages/<id>/regenerate",
        regenerate,
        body=AttemptBody,
        body_optional=True,
        reply=Accepted,
        status=202,
        takes=("Idempotency-Key",),
        problems=(BudgetError,),
    ),
    Route(
        "POST",
        "/api/messages/<id>/continue",
        go_on,
        body=AttemptBody,
        body_optional=True,
        reply=Accepted,
        status=202,
        takes=("Idempotency-Key",),
        problems=(BudgetError,),
    ),
    Route("DELETE", "/api/messages/<id>", remove, query=RemoveQuery, status=204),
    Route("POST", "/api/conversations/<id>/stop", stop, body=StopBody, body_optional=True, reply=Stopped),
)
