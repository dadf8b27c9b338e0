"""The examples of third parties' plugins are projects of their own: installed beside us, they pass the kits, and answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from served import Server

ROOT = Path(__file__).parents[1]
PROJECT = ROOT / "examples/wordmill"
RUNNABLE = ROOT / "examples/runnable"
#: The suite's own settings are no business of the example's.
LEFT_OUT = ("PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT")

PHRASE = "the quick brown mill"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the examples are installed, and nothing else; with what is here already, and without a network."""
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    command += ["--no-deps", "--no-build-isolation", "--target", str(folder)]
    command += [str(PROJECT), str(RUNNABLE)]
    subprocess.run(command, check=True, timeout=120)
    return folder


def environment(installed: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    return {**kept, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1", **more}


@pytest.mark.parametrize("project", [PROJECT, RUNNABLE], ids=lambda project: project.name)
def test_it_passes_the_kits(project: Path, installed: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--basetemp={tmp_path}/own",
        str(project),
    ]
    done = subprocess.run(command, env=environment(installed), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_settings_that_cannot_be_meant_are_told(installed: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "trialogue_server", "plugins"]
    env = environment(installed, WORDMILL_ADDRESS="7070")
    shown = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    (line,) = [one for one in shown.splitlines() if one.startswith("wordmill")]
    assert line.endswith("WORDMILL_ADDRESS='7070' is no host:port, as localhost:7070")


def test_the_provider_is_short() -> None:
    assert len((PROJECT / "src/trialogue_wordmill/provider.py").read_text().splitlines()) < 60


@pytest.fixture
def mill() -> Iterator[int]:
    """The port of a mill in a process of its own."""
    code = (
        "import trio, mill\n"
        "async def main():\n"
        "    async with mill.open_mill() as (_, port):\n"
        "        print(port, flush=True)\n"
        "        await trio.sleep_forever()\n"
        "trio.run(main)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT / "tests", stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield int(process.stdout.readline())
    process.kill()
    process.communicate()


def test_a_server_with_it_answers(installed: Path, mill: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(installed))
    monkeypatch.setenv("WORDMILL_ADDRESS", f"127.0.0.1:{mill}")
    server = Server(tmp_path, default_model="wordmill:fine", disabled_plugins="password")
    try:
        server.start()
        with httpx2.Client(base_url=server.url, trust_env=False, timeout=20) as client:
            account = {"email": "ada@example.org", "password": "password1234567", "name": "Ada"}
            refused = client.post("/api/auth/register", json=account)
            assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/password")
            account["password"] = PHRASE
            assert client.post("/api/auth/register", json=account).status_code == 201
            login = {"email": account["email"], "password": PHRASE.upper()}
            assert client.post("/api/auth/login", json=login).status_code == 200
            assert "wordmill:fine" in {model["id"] for model in client.get("/api/models").json()["models"]}
            assert "Hello ground to flour" in answer(client, "Hello")
            rolled = answer(client, '[[call=roll_dice:{"count":3}]]', model="echo:echo")
            assert "together" in rolled
    finally:
        server.close()


def test_a_server_in_which_a_runnable_answers(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(installed))
    monkeypatch.setenv("RUNNABLE", "on")
    server = Server(tmp_path)
    try:
        server.start()
        with httpx2.Client(base_url=server.url, trust_env=False, timeout=20) as client:
            account = {"email": "ada@example.org", "password": "password1234567", "name": "Ada"}
            assert client.post("/api/auth/register", json=account).status_code == 201
            said = answer(client, "[[tokens=5]]")
            assert "Here is a draft" in said, "the model repeats what it was asked in the end"
            assert "A long answer arrives word" in said, "which holds what it said at first"
    finally:
        server.close()


def answer(client: httpx2.Client, text: str, **body: str) -> str:
    """What is answered, as a conversation shows it once it is over."""
    url = f"/api/conversations/{client.post('/api/conversations', json=body).json()['id']}"
    client.post(f"{url}/messages", json={"text": text, **body}).raise_for_status()
    end = time.monotonic() + 20
    while time.monotonic() < end:
        snapshot = client.get(url).json()
        if snapshot["run"] is None and len(snapshot["messages"]) >= 2:
            return json.dumps(snapshot["messages"][-1])
        time.sleep(0.02)  # It is asked, as a page would.
    raise AssertionError(snapshot)
