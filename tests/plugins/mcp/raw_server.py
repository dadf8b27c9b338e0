"""The least of an MCP server, without any package: for what a package would keep it from doing."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

NAMES = ("garbage", "long", "deaf")


def answer(method: str, params: dict[str, Any]) -> Any:  # Any: any JSON, as below.
    match method:
        case "initialize":
            about = {"name": "raw", "version": "1"}
            return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": about}
        case "tools/list":
            return {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in NAMES]}
        case "tools/call":
            for number in range(params["arguments"]["lines"]):
                sys.stdout.buffer.write(b"no message \xff \x00 %d\n\n" % number)
            size = 20_000 if params["name"] == "long" else 0
            return {"content": [{"type": "text", "text": "x" * size or "said"}]}
        case _:
            return {}


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        result = answer(message["method"], message.get("params") or {})
        print(json.dumps({"result": result, "jsonrpc": "2.0", "id": message["id"]}), flush=True)
    if (message.get("params") or {}).get("name") == "deaf":
        time.sleep(300)
