"""An MCP server over HTTP that shakes hands, lists no tools, and then answers nothing, the end of its session included."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWERS = {
    "initialize": {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "hanging", "version": "1"},
    },
    "tools/list": {"tools": []},
}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Be quiet."""

    def do_GET(self) -> None:
        """There is no stream of events."""
        self.answer(405, b"")

    def do_DELETE(self) -> None:
        """Hang."""
        time.sleep(300)

    def do_POST(self) -> None:
        """Answer what is in ``ANSWERS``, and acknowledge what wants no answer."""
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if "id" not in message:
            self.answer(202, b"")
        elif message["method"] in ANSWERS:
            body = {"jsonrpc": "2.0", "id": message["id"], "result": ANSWERS[message["method"]]}
            self.answer(200, json.dumps(body).encode())
        else:
            time.sleep(300)

    def answer(self, status: int, body: bytes) -> None:
        """Answer."""
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("mcp-session-id", "session")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()
