"""The OpenAPI document: valid, whole, served, printed, and good enough to generate a client from."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from node_tools import FOLDER, NODE, need_packages
from openapi_spec_validator import OpenAPIV31SpecValidator
from rest import serve

from trialogue_server import cli
from trialogue_server._openapi.examples import examples_of
from trialogue_server._openapi.operation import path_of
from trialogue_server.api import BLUEPRINTS
from trialogue_server.api.description import encoded_document

DOCUMENT: dict[str, Any] = json.loads(encoded_document()[0])
ROUTES = [route for routes in BLUEPRINTS.values() for route in routes]
OPERATIONS = [
    pytest.param(operation, id=operation["operationId"])
    for item in DOCUMENT["paths"].values()
    for operation in item.values()
]
#: Their answers do not end, or a third party or bytes are needed to ask for them.
NO_EXAMPLE = {
    ("GET", "/api/auth/oidc/<name>/login"),
    ("GET", "/api/auth/oidc/<name>/callback"),
    ("GET", "/api/conversations/<id>/events"),
    ("GET", "/api/events"),
    ("GET", "/api/shared/<token>/files/<file>"),
    ("GET", "/api/ws"),
}


def test_document_is_valid() -> None:
    """Against the official meta-schema, references included."""
    assert DOCUMENT["openapi"].startswith("3.1.")
    errors = [
        f"{list(error.absolute_path)}: {error.message}" for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()
    ]
    assert errors == []


def test_document_has_every_route_and_no_other() -> None:
    described = {(method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item}
    assert described == {(route.method, path_of(route)) for route in ROUTES}


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for item in DOCUMENT["paths"].values() for operation in item.values()]
    assert len(set(names)) == len(names)


def test_metrics_are_read_by_administrators_or_nameless() -> None:
    """And nothing else is both guarded and open: the handler alone knows who gets in."""
    both = {name for name, item in DOCUMENT["paths"].items() for one in item.values() if {} in one["security"]}
    assert both == {"/metrics"}
    metrics = DOCUMENT["paths"]["/metrics"]["get"]
    assert metrics["security"] == [{}, {"session": []}, {"key": ["admin"]}]
    assert "`metrics_token`" in metrics["description"]
    assert "on the machine itself" in metrics["description"]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation_says_what_it_does(operation: dict[str, Any]) -> None:
    assert 5 <= len(operation["summary"]) <= 125, operation["summary"]
    assert not re.search(r"``|:\w+:`|^\d{3}\b", operation["summary"]), operation["summary"]
    assert all(parameter["description"] for parameter in operation["parameters"]) if "parameters" in operation else True
    assert {"500"} <= operation["responses"].keys()
    for status, response in operation["responses"].items():
        assert "$ref" in response or response["description"], status


def test_every_schema_is_described() -> None:
    undescribed = [name for name, one in DOCUMENT["components"]["schemas"].items() if not one.get("description")]
    assert undescribed == []


def test_every_operation_has_an_example() -> None:
    shown = examples_of(BLUEPRINTS).keys() | NO_EXAMPLE
    assert [(route.method, route.path) for route in ROUTES if (route.method, route.path) not in shown] == []


async def test_document_is_served_once_and_then_not_again() -> None:
    async with serve() as server, server.client() as client:
        first = await client.get("/openapi.json")
        assert first.json() == DOCUMENT
        again = await client.get("/openapi.json", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert (await client.get("/openapi.json", headers={"If-None-Match": '"x"'})).status_code == 200


def test_command_prints_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["openapi"]) == 0
    assert json.loads(capsys.readouterr().out) == DOCUMENT


CLIENT = """\
import type { components, paths } from "./api";

type Made = paths["/api/conversations"]["post"]["responses"]["201"]["content"]["application/json"];
type Asked = NonNullable<paths["/api/conversations/{id}/messages"]["post"]["requestBody"]>["content"]["application/json"];
type Problem = components["schemas"]["Problem"];

export async function ask(server: string, key: string, text: string): Promise<string> {
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
  const made = await fetch(`${server}/api/conversations`, { method: "POST", headers, body: "{}" });
  if (!made.ok) throw new Error(((await made.json()) as Problem).detail);
  const conversation: Made = await made.json();
  const body: Asked = { text, policy: "queue" };
  const version: number = conversation.version;
  const title: string | null = conversation.title;
  const asked = await fetch(`${server}/api/conversations/${conversation.id}/messages`, {
    method: "POST", headers, body: JSON.stringify(body),
  });
  const accepted: components["schemas"]["Accepted"] = await asked.json();
  return `${accepted.run} ${version} ${title}`;
}

export function shown(part: components["schemas"]["ShownMessage"]["parts"][number]): string {
  switch (part.type) {
    case "text": return part.text;
    case "data": return part.name;
    default: return "";
  }
}

// @ts-expect-error a policy that there is not
export const wrong: Asked = { text: "", policy: "never" };
// @ts-expect-error a field that there is not
export const misspelt: Asked = { txt: "" };
"""


def test_generated_typescript_client_type_checks(tmp_path: Path) -> None:
    """By the tools that people use, openapi-typescript and tsc in its strictest mode."""
    (tmp_path / "openapi.json").write_bytes(encoded_document()[0])
    (tmp_path / "client.ts").write_text(CLIENT)
    strict = [
        "--noEmit",
        "--strict",
        "--noUncheckedIndexedAccess",
        "--exactOptionalPropertyTypes",
        "--lib",
        "es2022,dom",
    ]
    node("openapi-typescript/bin/cli.js", "openapi.json", "--output", "api.d.ts", at=tmp_path)
    node("typescript/bin/tsc", *strict, "client.ts", "api.d.ts", at=tmp_path)


def node(tool: str, *arguments: str, at: Path) -> None:
    need_packages()
    done = subprocess.run(
        [NODE, FOLDER / "node_modules" / tool, *arguments],
        cwd=at,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
