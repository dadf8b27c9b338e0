"""What a reader costs who is told nothing: memory, against the same libraries without us.

States: with 1,000 readers of server-sent events and 1,000 WebSockets open at once, one of either takes at most one and a
half times what it takes in a bare Quart-Trio endpoint on Hypercorn.
"""

from __future__ import annotations

import sys
import time

from bench.load import open_stub
from bench.processes import SERVER_CPU, Process, free_port, running, wait_for_port
from bench.reading import open_readers, sse, websocket
from bench.results import Row
from bench.servers import open_trialogue

NAME = "readers"


def run(quick: bool = False) -> list[Row]:
    """Both servers, one after the other, and both kinds of readers, the second kind beside the first."""
    count = 200 if quick else 1_000
    bare = _bare(count)
    ours = _ours(count)
    rows = [Row(NAME, "readers of each kind", count, "")]
    for kind in ("SSE", "WebSocket"):
        rows += [
            Row(NAME, f"{kind}: bare endpoint", bare[kind] / 1e3, "KB"),
            Row(NAME, f"{kind}: Trialogue", ours[kind] / 1e3, "KB"),
            Row(NAME, f"{kind}: ratio", ours[kind] / bare[kind], "", "<= 1.5"),
        ]
    rows.append(Row(NAME, "CPU of all of ours when idle", ours["idle"] * 100, "%"))
    return rows


def _bare(count: int) -> dict[str, float]:
    port = free_port()
    with running([sys.executable, "-m", "bench.bare", str(port)], cpu=SERVER_CPU) as process:
        wait_for_port(process, port)
        return _measure(process, port, count, {"SSE": sse("/events"), "WebSocket": websocket("/ws")})


def _ours(count: int) -> dict[str, float]:
    bounds = {"TRIALOGUE_SOCKETS_PER_USER": "100000", "TRIALOGUE_RATE_PER_USER": "0"}
    with open_stub() as stub, open_trialogue(stub, bounds) as server:
        account = server.client().register()
        (conversation,) = server.client().create_conversations(account, 1)
        openings = {
            "SSE": sse(f"/api/conversations/{conversation}/events", account),
            "WebSocket": websocket("/api/ws", account, conversation),
        }
        assert server.process is not None
        return _measure(server.process, server.port, count, openings)


def _measure(process: Process, port: int, count: int, openings: dict[str, bytes]) -> dict[str, float]:
    """Bytes of resident memory for one reader of each kind, and the share of a processor that all take when idle."""
    for opening in openings.values():  # What is imported or cached at first use is not counted.
        with open_readers(port, 20, opening):
            pass
    time.sleep(0.5)
    before = process.rss_bytes()
    with open_readers(port, count, openings["SSE"]):
        time.sleep(0.5)
        between = process.rss_bytes()
        with open_readers(port, count, openings["WebSocket"]):
            time.sleep(0.5)
            after = process.rss_bytes()
            spent, began = process.cpu_seconds(), time.monotonic()
            time.sleep(5)
            idle = (process.cpu_seconds() - spent) / (time.monotonic() - began)
    return {"SSE": (between - before) / count, "WebSocket": (after - between) / count, "idle": idle}
