"""A server that calls tools of an MCP server, as an operator sets it up; and what the file may not say."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from served import Server

from trialogue import ConfigurationError, load_plugins
from trialogue_mcp import read_specs
from trialogue_mcp._saying import masked
from trialogue_mcp._tool import name_of, schema_of

PROBE = str(Path(__file__).with_name("stdio_server.py"))


def within(seconds: float, holds: Callable[[], Any]) -> Any:  # Any: what is looked for.
    """What ``holds`` returns, once that is something."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.05)
    return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    file = tmp_path / "mcp.toml"
    file.write_text(
        f"[probe]\ncommand = [{sys.executable!r}, {PROBE!r}]\nenv = {{ STATE = '{tmp_path}/state' }}\napproval = 'never'\n"
        "[deaf]\ncommand = ['sleep', '1000']\n[none]\nurl = 'http://127.0.0.1:9/mcp'\n"
    )
    server = Server(tmp_path, mcp_file=str(file))
    try:
        server.start()
        yield server
    finally:
        server.close()


@contextmanager
def client_of(server: Server, name: str) -> Generator[httpx2.Client]:
    """A client whose account is made with it."""
    account = {"email": f"{name}@example.org", "password": "correct horse", "name": name}
    with httpx2.Client(base_url=server.url, trust_env=False, timeout=10) as client:
        client.post("/api/auth/register", json=account).raise_for_status()
        yield client


def returned(client: httpx2.Client, url: str) -> list[dict[str, Any]]:
    """The files that tools returned in the last answer."""
    parts = client.get(url).json()["messages"][-1]["parts"]
    return [file for part in parts if part["type"] == "tool_result" for file in part["files"]]


def test_answer_with_a_tool_of_an_mcp_server_which_ends_with_a_killed_one(server: Server, tmp_path: Path) -> None:
    with client_of(server, "ada") as client:

        def offered() -> bool:
            return any(one["name"] == "probe__add" for one in client.get("/api/tools").json()["tools"])

        within(30, offered)
        url = f"/api/conversations/{client.post('/api/conversations', json={}).json()['id']}"
        text = 'Add. [[call=probe__add:{"one":2,"two":3}]]'
        client.post(f"{url}/messages", json={"text": text, "tools": ["probe__add"]}).raise_for_status()

        def result() -> list[dict[str, Any]]:
            parts = client.get(url).json()["messages"][-1]["parts"]
            return [part for part in parts if part["type"] == "tool_result"]

        assert within(10, result)[0]["text"] == "5"
    pid = (tmp_path / "state").read_text().split()[1]
    server.kill()
    within(10, lambda: not Path(f"/proc/{pid}").exists() or "(python) Z" in Path(f"/proc/{pid}/stat").read_text())


def test_picture_of_an_mcp_server_is_its_users_and_stays_with_the_conversation(server: Server) -> None:
    with client_of(server, "ada") as ada, client_of(server, "bob") as bob:
        within(30, lambda: any(one["name"] == "probe__picture" for one in ada.get("/api/tools").json()["tools"]))
        url = f"/api/conversations/{ada.post('/api/conversations', json={}).json()['id']}"
        message = {"text": "Draw. [[call=probe__picture:{}]]", "tools": ["probe__picture"]}
        ada.post(f"{url}/messages", json=message).raise_for_status()
        (part,) = within(10, lambda: returned(ada, url))
        assert part == {"type": "file", "file": part["file"], "name": "picture-1.png", "media_type": "image/png"}
        content = f"/api/files/{part['file']}"
        assert ada.get(content).content.startswith(b"\x89PNG")
        assert bob.get(content).status_code == 404
        within(10, lambda: ada.get(f"{content}/info").json()["variants"])
        # What is given out can be taken in by another, with a copy of the picture.
        archive = ada.get("/api/export", params={"format": "zip"}).content
        job = bob.post("/api/import", content=archive, headers={"Content-Type": "application/zip"}).headers["location"]
        within(30, lambda: bob.get(job).json()["state"] not in ("waiting", "running"))
        (copy,) = bob.get("/api/files").json()["files"]
        assert bob.get(f"/api/files/{copy['id']}").content == ada.get(content).content
        (taken,) = bob.get("/api/conversations").json()["conversations"]
        assert [one["file"] for one in returned(bob, f"/api/conversations/{taken['id']}")] == [copy["id"]]
        assert copy["id"] != part["file"]


def test_stop_waits_for_no_mcp_server(server: Server, tmp_path: Path) -> None:
    within(30, (tmp_path / "state").exists)
    began = time.monotonic()
    server.signal(signal.SIGTERM)
    assert server.wait(30) == 0
    assert time.monotonic() - began < 15
    pid = (tmp_path / "state").read_text().split()[1]
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[x", "is not TOML"),
        ("[a]", "either a command or a url"),
        ("[a]\nurl='http://x'\ncommand=['y']", "either a command or a url"),
        ("[a]\nurl='ftp://x'", "begins with http"),
        ("[a_b]\nurl='http://x'", "make the name of a server"),
        ("[a]\nurl='http://x'\nretries=1", "retries"),
        ("[a]\nurl='http://x'\napproval='maybe'", "maybe"),
        ("[a]\nurl='http://x'\ntimeout=0", "timeout"),
        ("[a]\nurl='http://x'\nheaders={A='${NOT_THERE}'}", "no variable NOT_THERE"),
        ("a = 1", "a"),
    ],
)
def test_file_that_cannot_be_meant(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "mcp.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=words):
        read_specs(file, {})
    plugins = load_plugins()
    plugins.tools({"TRIALOGUE_MCP_FILE": str(file)})
    assert words in plugins.set_aside["mcp"]


def test_secrets_come_from_the_environment_and_are_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "mcp.toml"
    file.write_text("[a]\nurl='http://x'\nheaders={Authorization='Bearer ${KEY}'}")
    (spec,) = read_specs(file, {"KEY": "very-secret-key"})
    assert spec.headers == {"Authorization": "Bearer very-secret-key"}
    assert "very-secret-key" in spec.secrets
    assert "secret" not in repr(spec)
    file.write_text("[a]\nurl='http://x/${KEY}?of=me'\nfrom_variables=['of']")
    (spec,) = read_specs(file, {"KEY": "very-secret-key"})
    assert masked(spec, f"GET {spec.url} failed") == "GET http://x/***?of=me failed"
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_specs(tmp_path / "none", {})


def test_without_a_file_there_is_nothing_and_nothing_is_imported() -> None:
    plugins = load_plugins()
    assert not [one for one in plugins.tools({}) if type(one).__name__ == "McpSource"]
    assert "mcp" not in plugins.set_aside


def test_names_that_upstreams_take() -> None:
    assert name_of("a", "find_it") == "a__find_it"
    dotted, slashed = name_of("a", "x.y"), name_of("a", "x/y")
    assert dotted != slashed
    assert dotted.startswith("a__x_y_")
    assert len(name_of("a" * 24, "ü" * 128)) == 64
    assert name_of("a", "x" * 100) != name_of("a", "x" * 101)


def test_schemas_that_are_none() -> None:
    assert schema_of({"$schema": "x", "type": "object", "properties": {}}) == {"type": "object", "properties": {}}
    assert schema_of({"type": "string"}) == {"type": "object"}
    assert schema_of({"type": "object", "description": "x" * 100_000}) == {"type": "object"}
