"""Tools when the process is killed in the midst of a call: none is made again silently, and what waits, waits on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from served import Server

#: A third party's plugin: each tool notes its call, and the first call of each never returns.
PLUGIN = '''
from pathlib import Path
import trio
from trialogue import ToolContext, hookimpl, tool

async def noted(context: ToolContext) -> str:
    """Does something, slowly."""
    path = Path("calls")
    said = path.read_text() if path.exists() else ""
    path.write_text(f"{said}{context.call}\\n")
    if not said:
        await trio.sleep_forever()
    return "done at last"

@hookimpl
def trialogue_tools(environment):
    return [tool(name="book")(noted), tool(name="look", idempotent=True)(noted)]
'''


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    installed = tmp_path / "installed"
    (installed / "slow-1.0.dist-info").mkdir(parents=True)
    (installed / "slow.py").write_text(PLUGIN)
    (installed / "slow-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 1.0\n")
    (installed / "slow-1.0.dist-info/entry_points.txt").write_text("[trialogue]\nslow = slow\n")
    monkeypatch.setenv("PYTHONPATH", str(installed))
    server = Server(tmp_path)
    try:
        server.start()
        yield server
    finally:
        server.close()


class Asker:
    """Somebody who asks echo to call a tool, and looks at what becomes of it."""

    def __init__(self, server: Server, text: str, **body: Any) -> None:
        account = {"email": "ada@example.org", "password": "correct horse", "name": "Ada"}
        self.client = httpx2.Client(base_url=server.url, trust_env=False, timeout=10)
        self.client.post("/api/auth/register", json=account).raise_for_status()
        self.url = f"/api/conversations/{self.client.post('/api/conversations', json={}).json()['id']}"
        self.client.post(f"{self.url}/messages", json={"text": text, **body}).raise_for_status()

    def __enter__(self) -> Asker:
        return self

    def __exit__(self, *error: object) -> None:
        self.client.close()

    def until(self, holds: Any) -> dict[str, Any]:  # Any: a question about a snapshot.
        """The snapshot, as soon as it is so."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            snapshot: dict[str, Any] = self.client.get(self.url).json()
            if holds(snapshot):
                return snapshot
            time.sleep(0.02)  # It is asked, as a page would.
        raise AssertionError(snapshot)


def state(snapshot: dict[str, Any]) -> str | None:
    """What becomes of the one call that is open, if one is."""
    calls = snapshot["run"]["calls"] if snapshot["run"] else []
    return calls[0].get("state", "new") if calls else None


def parts(snapshot: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [part for part in snapshot["messages"][-1]["parts"] if part["type"] == kind]


@pytest.mark.parametrize(("tool", "times"), [("book", 1), ("look", 2)])
def test_call_that_a_kill_cut_off(server: Server, tmp_path: Path, tool: str, times: int) -> None:
    with Asker(server, f"[[rate=0 call={tool}]]") as asker:
        calls = tmp_path / "calls"
        asker.until(lambda snapshot: state(snapshot) == "called" and calls.exists())
        server.kill()
        server.start()
        snapshot = asker.until(lambda snapshot: snapshot["run"] is None)
        assert snapshot["messages"][-1]["status"] == "completed"
        (call,) = parts(snapshot, "tool_call")
        assert calls.read_text().splitlines() == [call["call"]] * times
        (result,) = parts(snapshot, "tool_result")
        assert result["text"] == (
            "done at last"
            if times == 2
            else "The server stopped while the tool was at work. Whether it had an effect is not known."
        )
        assert result["text"] in parts(snapshot, "text")[-1]["text"], "the model was told"


def test_approval_outlives_a_kill(server: Server) -> None:
    ask = [{"name": "current_time", "approval": "ask"}]
    with Asker(server, "[[rate=0 call=current_time]]", tools=ask) as asker:
        asker.until(lambda snapshot: state(snapshot) == "asked")
        server.kill()
        server.start()
        snapshot = asker.until(lambda snapshot: state(snapshot) == "asked")
        call = snapshot["run"]["calls"][0]["call"]
        decision = {"decision": "approve"}
        asker.client.post(f"/api/approvals/{call}", json=decision).raise_for_status()
        snapshot = asker.until(lambda snapshot: snapshot["run"] is None)
        assert "+0000" in parts(snapshot, "tool_result")[0]["text"]
        server.kill()
        server.start()
        assert asker.client.post(f"/api/approvals/{call}", json=decision).status_code == 200, "as the first time"
        assert asker.client.post(f"/api/approvals/{call}", json={"decision": "deny"}).status_code == 409
