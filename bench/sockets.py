"""What an event costs over a WebSocket: 500 subscribers of a conversation, against 500 readers of server-sent events.

States: over a WebSocket an event costs at most one and a half times what it costs as a server-sent event. Beside it stands
what it would cost through the app server's own sending.
"""

from __future__ import annotations

import time

from bench.client import Account
from bench.load import Stub, open_stub
from bench.plan import prompt
from bench.reading import open_readers, sse, websocket
from bench.results import Row
from bench.servers import MODEL, Trialogue, open_trialogue

NAME = "sockets"
READERS = 500
_BOUNDS = {"TRIALOGUE_SOCKETS_PER_USER": "100000", "TRIALOGUE_RATE_PER_USER": "0"}


def run(quick: bool = False) -> list[Row]:
    """The same answer of 50 tokens a second each time, and the CPU time beyond that of an answer nobody reads."""
    seconds = 5 if quick else 15
    with open_stub() as stub:
        streams, sockets = _costs(stub, seconds, "sse", "websocket")
        (sending,) = _costs(stub, seconds, "websocket", module="bench.sending")
    return [
        Row(NAME, f"server-sent events, {READERS} readers, per event and reader", streams, "us"),
        Row(NAME, "WebSockets, the same", sockets, "us"),
        Row(NAME, "WebSockets through ASGI's send", sending, "us"),
        Row(NAME, "ratio of WebSockets to server-sent events", sockets / streams, "", "<= 1.5"),
    ]


def _costs(stub: Stub, seconds: int, *wires: str, module: str | None = None) -> list[float]:
    with open_trialogue(stub, _BOUNDS, module=module) as server:
        account = server.client().register()
        alone, watched = server.client().create_conversations(account, 2)
        base, _ = answer(server, account, alone, seconds)
        found: list[float] = []
        for wire in wires:
            opening = sse(f"/api/conversations/{watched}/events", account)
            if wire == "websocket":
                opening = websocket("/api/ws", account, watched)
            with open_readers(server.port, READERS, opening):
                cost, events = answer(server, account, watched, seconds)
            found.append((cost - base) / events / READERS * 1e6)
        return found


def answer(server: Trialogue, account: Account, conversation: str, seconds: int) -> tuple[float, int]:
    """CPU seconds of one answer, and the events it made."""
    assert server.process is not None
    client, path = server.client(), f"/api/conversations/{conversation}"
    before, spent = client.must("GET", path, None, account.cookie)["seq"], server.process.cpu_seconds()
    body = {"text": prompt(50 * seconds, 50), "model": MODEL}
    client.must("POST", f"{path}/messages", body, account.cookie)
    time.sleep(seconds + 1)
    spent = server.process.cpu_seconds() - spent
    snapshot = client.must("GET", path, None, account.cookie)
    if snapshot["run"] is not None:
        raise RuntimeError("the answer took too long")
    return spent, snapshot["seq"] - before
