"""``trialogue top``: what is shown of a real server, and what is said when there is nothing to show."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from served import Server

from trialogue import ConfigurationError
from trialogue_server._top.figures import Times, figures
from trialogue_server._top.reading import Reading, UnreachableError, nodes, parse, read
from trialogue_server._top.running import MOST, wanted
from trialogue_server._top.screen import lines
from trialogue_server.config import Config


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def token_file(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An administrator's key; and an answer is under way."""
    with httpx2.Client(base_url=server.url, trust_env=False) as client:
        user = {"email": "ada@example.org", "password": "correct horse", "name": "ada"}
        assert client.post("/api/auth/register", json=user).status_code == 201
        url = client.post("/api/conversations", json={}).headers["location"]
        body = {"text": "[[rate=20 endless]]"}
        assert client.post(f"{url}/messages", json=body).status_code == 202
        key = client.post("/api/auth/keys", json={"name": "top", "scopes": ["read", "admin"]}).json()["token"]
    path = tmp_path_factory.mktemp("key") / "token"
    path.write_text(key + "\n")
    return path


def top(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trialogue_server", "top", "--once", "--interval", "0.2", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=30, check=False)


def test_server_is_shown_with_what_is_busy_in_it(server: Server, token_file: Path, tmp_path: Path) -> None:
    done = top(tmp_path, "--port", str(server.port), "--token-file", str(token_file))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"at http://127.0.0.1:{server.port}  up" in done.stdout
    assert "1 running" in done.stdout
    assert "<Cell" in done.stdout
    assert token_file.read_text().strip() not in done.stdout


def test_several_are_compared_and_one_that_is_away_is_told(server: Server, tmp_path: Path) -> None:
    done = top(tmp_path, "--json", server.url, "http://127.0.0.1:1")
    assert done.returncode == 0
    here, away = json.loads(done.stdout)["servers"]
    assert (here["error"], here["storage"], here["conversations"]["faulted"]) == (None, "sqlite", 0)
    assert here["memory"] > 10_000_000
    assert "cannot be reached" in away["error"]
    assert top(tmp_path, "http://127.0.0.1:1").returncode == 1


@pytest.mark.parametrize(
    "address", ["ftp://x", "http://", "http://x:99999", "http://x:y", "http://a\nb", "http://a..b", "x"]
)
def test_address_that_is_none_is_told(address: str) -> None:
    with pytest.raises(ConfigurationError, match="no address of a server"):
        read(address, "")


def test_arguments_that_cannot_be_are_told(tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.write_text("two\nlines")
    cases: list[tuple[list[str], str | None, float]] = [
        ([], None, 0.0),
        (["http://x"] * (MOST + 1), None, 1.0),
        ([], str(tmp_path / "none"), 1.0),
        ([], str(odd), 1.0),
    ]
    for arguments in cases:
        with pytest.raises(ConfigurationError):
            wanted(Config(), *arguments, once=True, as_json=False)


@pytest.mark.parametrize(
    ("config", "address"),
    [
        (Config(), "http://127.0.0.1:4512"),
        (Config(host="0.0.0.0", port=80), "http://127.0.0.1:80"),
        (Config(host="::"), "http://[::1]:4512"),
        (Config(host="unix:/run/t.sock"), "unix:/run/t.sock"),
        (Config(metrics_listen="unix:/run/m.sock"), "unix:/run/m.sock"),
        (Config(metrics_listen="127.0.0.1:9464"), "http://127.0.0.1:9464"),
    ],
)
def test_without_an_address_it_is_the_configured_one(config: Config, address: str) -> None:
    assert wanted(config, [], None, 1.0, once=True, as_json=False).addresses == (address,)


def test_server_that_is_none_of_ours_or_talks_nonsense_is_told() -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401 if self.headers["Authorization"] else 404)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as other:
        thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        url = f"http://127.0.0.1:{other.server_port}"
        with pytest.raises(UnreachableError, match="is this a Trialogue server"):
            read(url, "")
        with pytest.raises(UnreachableError, match="--token-file"):
            read(url, "wrong")
        other.shutdown()
        thread.join()


def test_nodes_of_a_cluster_are_found(server: Server, token_file: Path, tmp_path: Path) -> None:
    key = str(token_file)
    alone = wanted(Config(), [server.url], key, 1.0, once=True, as_json=False, all_nodes=True)
    assert alone.addresses == (server.url,)
    with pytest.raises(ConfigurationError, match="administrator's key"):
        wanted(Config(), [server.url], None, 1.0, once=True, as_json=False, all_nodes=True)
    body = {"nodes": [{"address": f"http://n{number}:1", "alive": number != 2, "id": "x"} for number in range(4)]}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as other:
        thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        url = f"http://127.0.0.1:{other.server_port}"
        assert nodes(url, "key") == ("http://n0:1", "http://n1:1", "http://n3:1")
        body["nodes"] = "nonsense"  # type: ignore[assignment]
        with pytest.raises(UnreachableError):
            nodes(url, "key")
        other.shutdown()
        thread.join()


def test_text_is_read_as_it_is_written() -> None:
    text = '# HELP x X.\nx_total{a="b\\"c",d="e"} 3.0\ny 1e3\nz NaN-not\n\x00garbage\n'
    assert parse(text) == {("x_total", frozenset({("a", 'b\\"c'), ("d", "e")})): 3.0, ("y", frozenset()): 1000.0}


def test_rates_are_between_two_readings_and_survive_a_restart() -> None:
    def reading(at: float, runs: float, fast: float, slow: float) -> Reading:
        text = (
            f'trialogue_runs_total{{model="p:m",outcome="completed",reason="stop"}} {runs}\n'
            f'trialogue_gate_seconds_bucket{{le="0.001"}} {fast}\n'
            f'trialogue_gate_seconds_bucket{{le="+Inf"}} {slow}\n'
        )
        return Reading(at, parse(text))

    found = figures("a", reading(0, 10, 5, 5), reading(2, 16, 5, 9))
    assert (found.runs, found.models[0].runs) == (3.0, 3.0)
    assert found.gate == Times(float("inf"), float("inf")), "all that was since the first one was slow"
    assert figures("a", reading(0, 10, 5, 5), reading(2, 4, 1, 1)).runs == 2.0
    assert figures("a", None, reading(0, 10, 5, 5)).runs == 0.0
    assert all(len(line) <= 40 for line in lines([found], 40))
