"""Requests that are known to work: files of them stand in the folder ``examples``, and the tests carry out every one.

A file is a story, told to a fresh server by somebody who is logged in, one request after the other:

    # Ask something
    POST /api/conversations/{conversation}/messages
    {"text": "What is a nursery?"}
    202 message=/message
    {"seq": 2, "message": "0199...", ...}

A title, the request with its body, the status with what is kept of the answer for later requests, and such an answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import msgspec

from trialogue_server._openapi.headers import Json
from trialogue_server._surface.routes import Route
from trialogue_server._surface.table import Table

_KEPT = re.compile(r"(\w+)=(\S+)")


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a story."""

    title: str
    method: str
    #: Path and query, with ``{name}`` for what an earlier answer gave.
    target: str
    headers: Mapping[str, str]
    body: Any  # Any JSON value; an object, where there is one.
    status: int
    #: Name -> JSON pointer into the answer.
    keeps: Mapping[str, str]
    reply: Any  # As the body.

    @property
    def is_form(self) -> bool:
        """Whether the body is a form: by the name of each part, a file's name and its text."""
        return self.headers.get("Content-Type") == "multipart/form-data"

    @property
    def name(self) -> str:
        """The title as a name in the document."""
        return re.sub(r"\W+", "-", self.title.lower()).strip("-")

    def as_json(self, route: Route) -> Json:
        """As the document's extension shows it: by ``name`` its body and its answer are found among the document's own."""
        return {"name": self.name, "title": self.title, "status": str(self.status), "curl": self.curl(route)}

    def curl(self, route: Route) -> str:
        """The request as a command; ``$SERVER`` and ``$KEY`` are the reader's own, ``jar`` a file for the session."""
        method = f" -X {self.method}" if self.method not in ("GET", "POST") or self._posts_nothing else ""
        lines = [
            f'curl{method} "$SERVER{self.target}"',
            *_LOGIN.get(route.needed, ('-H "Authorization: Bearer $KEY"',)),
        ]
        if "Set-Cookie" in route.headers:
            lines.append("-c jar")
        return " \\\n  ".join([*lines, *self._body()])

    @property
    def _posts_nothing(self) -> bool:
        return self.method == "POST" and self.body is None

    def _body(self) -> list[str]:
        if self.is_form:
            return [f"-F '{name}=@{file}'" for name, (file, _) in self.body.items()]
        lines = [f"-H '{name}: {value}'" for name, value in self.headers.items()]
        if self.body is not None:
            text = msgspec.json.encode(self.body).decode().replace("'", r"'\''")
            lines += ["-H 'Content-Type: application/json'", f"-d '{text}'"]
        return lines


#: How a command says who one is, by what the route asks for; else by a key.
_LOGIN = {"public": (), "account": ("-b jar",)}


@cache
def stories() -> Mapping[str, Sequence[Example]]:
    """Every story by its name."""
    folder = files("trialogue_server") / "examples"
    found = {entry.name: entry.read_text() for entry in folder.iterdir() if entry.name.endswith(".http")}
    return {name.removesuffix(".http"): tuple(_parsed(text)) for name, text in sorted(found.items())}


def examples_of(blueprints: Mapping[str, Sequence[Route]]) -> Mapping[tuple[str, str], Sequence[Example]]:
    """The examples by the method and the path of their route.

    Those of the story that bears the route's tag, if it has any; what other stories need besides says nothing about it.
    """
    table = Table(route for routes in blueprints.values() for route in routes)
    tags = {(route.method, route.path): tag for tag, routes in blueprints.items() for route in routes}
    own: dict[tuple[str, str], list[Example]] = {}
    others: dict[tuple[str, str], list[Example]] = {}
    for story, examples in stories().items():
        for example in examples:
            match = table.find(example.method, urlsplit(example.target).path)
            if match is not None:
                key = (match.route.method, match.route.path)
                (own if tags[key] == story else others).setdefault(key, []).append(example)
    return others | own


def _parsed(text: str) -> Iterator[Example]:
    for block in re.split(r"^# ", text, flags=re.MULTILINE)[1:]:
        title, *lines = [line for line in block.splitlines() if line]
        method, _, target = lines[0].partition(" ")
        at = next(number for number, line in enumerate(lines) if re.match(r"\d{3}\b", line))
        headers = dict(line.split(": ", 1) for line in lines[1:at] if re.match(r"[A-Z][\w-]*: ", line))
        yield Example(
            title=title,
            method=method,
            target=target,
            headers=headers,
            body=_json(lines[1 + len(headers) : at]),
            status=int(lines[at][:3]),
            keeps=dict(_KEPT.findall(lines[at])),
            reply=_json(lines[at + 1 :]),
        )


def _json(lines: Sequence[str]) -> Any:  # Any JSON value.
    return msgspec.json.decode("\n".join(lines)) if lines else None
