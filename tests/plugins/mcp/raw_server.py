"""The least of an MCP server, without any package: for what a package would keep it from doing.

With ``MODERN`` it knows no handshake, as the protocol has none since 2026-07-28: each request says which version it is of.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

NAMES = ("garbage", "long", "deaf")
MODERN = "2026-07-28" if os.environ.get("MODERN") else None


def refusal(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    """What is wrong with a request, where no handshake is known."""
    if MODERN and method in ("initialize", "ping"):
        return {"code": -32601, "message": "no such method"}
    said = params.get("_meta", {}).get("io.modelcontextprotocol/protocolVersion")
    if MODERN and said != MODERN:
        return {"code": -32022, "message": "not that version", "data": {"supported": [MODERN], "requested": said or ""}}
    return None


#: What answers say of themselves since then.
FRESH = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}


def answer(method: str, params: dict[str, Any]) -> Any:  # Any: any JSON, as below.
    match method:
        case "initialize":
            about = {"name": "raw", "version": "1"}
            return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": about}
        case "server/discover":
            return {"supportedVersions": [MODERN], "capabilities": {"tools": {}}, **FRESH}
        case "tools/list" if MODERN:
            return {"tools": [{"name": "garbage", "inputSchema": {"type": "object"}}], **FRESH}
        case "tools/list":
            return {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in NAMES]}
        case "tools/call":
            for number in range(params["arguments"]["lines"]):
                sys.stdout.buffer.write(b"no message \xff \x00 %d\n\n" % number)
            size = 20_000 if params["name"] == "long" else 0
            return {"content": [{"type": "text", "text": "x" * size or "said"}], "resultType": "complete"}
        case _:
            return {}


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        about = (message["method"], message.get("params") or {})
        wrong = refusal(*about)
        outcome = {"result": answer(*about)} if wrong is None else {"error": wrong}
        print(json.dumps({**outcome, "jsonrpc": "2.0", "id": message["id"]}), flush=True)
    if (message.get("params") or {}).get("name") == "deaf":
        time.sleep(300)
