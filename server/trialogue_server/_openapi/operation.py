"""One route as an operation of the document."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from trialogue_server._openapi import headers, problems, streams
from trialogue_server._openapi.examples import Example
from trialogue_server._openapi.headers import Json
from trialogue_server._openapi.schemas import Schemas, markdown, parameters
from trialogue_server._surface.routes import Answer, Route

SESSION, KEY = "session", "key"
_SECURITY: dict[str, list[Json]] = {
    "public": [],
    "read": [{SESSION: []}, {KEY: ["read"]}],
    "write": [{SESSION: []}, {KEY: ["write"]}],
    "account": [{SESSION: []}],
    "admin": [{SESSION: []}, {KEY: ["admin"]}],
}
_ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")
#: What a handler's docstring says before its summary.
_CAPTION = re.compile(r"`[A-Z]+ /\S*`( and `[^`]*`)?: ")


def operation_id(tag: str, route: Route) -> str:
    """A stable name: the module and the handler, without what the one repeats of the other."""
    return f"{tag}.{route.handler.__name__.removesuffix('_' + tag)}"


def path_of(route: Route) -> str:
    """The path as OpenAPI spells it."""
    return _ARGUMENT.sub(r"{\1}", route.path)


def make_operation(tag: str, route: Route, schemas: Schemas, examples: Sequence[Example]) -> Json:
    """The operation that the route is."""
    summary, _, description = markdown(route.handler.__doc__ or "").partition("\n\n")
    summary = _CAPTION.sub("", summary)
    operation: Json = {
        "tags": [tag],
        "operationId": operation_id(tag, route),
        "summary": summary[:1].upper() + summary[1:],
        "description": description,
        "parameters": [*_arguments(route), *_query(route), *map(headers.taken, route.takes)],
        "responses": _answers(route, schemas, examples),
        # An empty requirement is OpenAPI's word for "or without any"; when that will do, the description says.
        "security": [*([{}] if route.nameless else []), *_SECURITY[route.needed]],
    }
    body = _body(route, schemas, examples)
    if body is not None:
        operation["requestBody"] = body
    if route.says is not None:
        client, server = (streams.listed(side, schemas) for side in route.says)
        operation["x-messages"] = {"client": client, "server": server}
    if examples:
        operation["x-examples"] = [example.as_json(route) for example in examples]
    return {name: value for name, value in operation.items() if value not in ("", [])} | {
        "security": operation["security"]
    }


def types_of(route: Route) -> tuple[list[Any], list[Any]]:
    """The types that come in and those that go out; Any: type expressions."""
    given = [answer.reply for answer in (_first(route), *route.also) if answer.reply is not None]
    if route.events is not None:
        given += [*streams.kinds(route.events)]
    taken = [route.body] if route.body is not None else []
    if route.says is not None:
        taken += [*streams.kinds(route.says[0])]
        given += [*streams.kinds(route.says[1])]
    return taken, given


def _arguments(route: Route) -> list[Json]:
    pieces = route.path.split("/")
    found: list[Json] = []
    for before, piece in pairwise(pieces):
        if name := _ARGUMENT.fullmatch(piece):
            thing = before.removesuffix("s")
            words = f"The {name[1]} of the {thing}." if name[1] != thing else f"The {thing}."
            found.append(
                {
                    "name": name[1],
                    "in": "path",
                    "required": True,
                    "description": words,
                    "schema": {"type": "string", "minLength": 1, "pattern": "^[^/]+$"},
                }
            )
    return found


def _query(route: Route) -> list[Json]:
    return [] if route.query is None else list(parameters(route.query))


def _body(route: Route, schemas: Schemas, examples: Sequence[Example]) -> Json | None:
    if route.upload is not None:
        parts: Json = {
            name: {"type": "string", "format": "binary", "description": text} for name, text in route.upload.items()
        }
        schema: Json = {"type": "object", "properties": parts, "required": list(parts)[:1]}
        return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    if route.content is not None:
        return {
            "required": True,
            "content": {kind: {"schema": {"description": t}} for kind, t in route.content.items()},
        }
    if route.body is None:
        return None
    content: Json = {"schema": schemas.of(route.body)}
    if said := {
        example.name: {"summary": example.title, "value": example.body} for example in examples if example.body
    }:
        content["examples"] = said
    return {"required": not route.body_optional, "content": {"application/json": content}}


def _answers(route: Route, schemas: Schemas, examples: Sequence[Example]) -> Json:
    answers: Json = {}
    for answer in (_first(route), *route.also):
        # Of two answers with one status, the words and the bodies of both.
        said = _answer(route, answer, schemas, examples)
        kept = answers.setdefault(str(answer.status), said)
        if kept is not said:
            kept["description"] += f" {said['description']}"
            kept.setdefault("content", {}).update(said.get("content", {}))
            kept["headers"] |= said["headers"]
    for status, problem in problems.answers_of(route).items():
        if status in answers:
            # One status, two meanings: told apart by the media type.
            answers[status].setdefault("content", {}).update(problems.CONTENT)
        else:
            answers[status] = problem
    return answers


def _first(route: Route) -> Answer:
    return Answer(route.status, "", route.reply, route.media_type, route.headers)


def _answer(route: Route, answer: Answer, schemas: Schemas, examples: Sequence[Example]) -> Json:
    names = ("X-Request-Id", *(("RateLimit-Policy", "RateLimit") if route.limited else ()), *answer.headers)
    described: Json = {
        "description": answer.when or _STATUS.get(answer.status, "Done."),
        "headers": {name: headers.answered(name) for name in names},
    }
    content: Json = {}
    if answer.media_type == streams.MEDIA_TYPE and route.events is not None:
        content = streams.content(route.events, schemas)
    elif answer.media_type is not None:
        # Bytes have no schema.
        content[answer.media_type] = {"schema": {"type": "string"}} if answer.media_type.startswith("text/") else {}
    if answer.reply is not None:
        content["application/json"] = {"schema": schemas.of(answer.reply)}
        said = {one.name: {"summary": one.title, "value": one.reply} for one in examples if one.status == answer.status}
        if said := {name: value for name, value in said.items() if value["value"] is not None}:
            content["application/json"]["examples"] = said
    return described | ({"content": content} if content else {})


_STATUS = {
    200: "Here it is.",
    201: "Made.",
    202: "Accepted; what comes of it is told by the stream.",
    204: "Done; there is nothing to say.",
    206: "The part that was asked for.",
    304: "What the caller has is still the current one.",
}
