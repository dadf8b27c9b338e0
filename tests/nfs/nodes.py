"""Inside the machine: nodes of one cluster, each over a host's mount, and a client that uploads and fetches.

Nodes run as the service's account does, with its rights on the share and no others; their log is in ``/var/log``.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

from nfs.shares import Host, run, until

TRIALOGUE = "/opt/trialogue/current/bin/trialogue"
AS_SERVICE = ("setpriv", "--reuid=trialogue", "--regid=trialogue", "--clear-groups")
DATABASE = "postgresql://trialogue@/trialogue?host=/run/postgresql"
FORM = b'--x\r\nContent-Disposition: form-data; name="f"; filename="%s"\r\n\r\n%s\r\n--x--\r\n'
#: Starting takes long on a processor that is emulated.
STARTS = 240.0


class Node:
    """``trialogue serve`` over the files of ``host``; all of them over one PostgreSQL."""

    cookie = ""

    def __init__(self, host: Host, port: int) -> None:
        self.host = host
        self.port = port
        self._data = Path(f"/var/lib/node-{host.name}")
        self._log = Path(f"/var/log/node-{host.name}.log")
        self.process: subprocess.Popen[bytes] | None = None

    # --- the process ---------------------------------------------------------------------------------------------

    def _open(self, **settings: str) -> subprocess.Popen[bytes]:
        run("install", "-d", "-o", "trialogue", "-g", "trialogue", "-m", "0700", str(self._data))
        environment = {
            "PATH": os.environ["PATH"],
            "TRIALOGUE_DATA_DIR": str(self._data),
            "TRIALOGUE_FILES_DIR": str(self.host.place),
            "TRIALOGUE_STORAGE_URL": DATABASE,
            "TRIALOGUE_NODE_NAME": self.host.name,
            "TRIALOGUE_DEFAULT_MODEL": "echo:echo",
            "TRIALOGUE_EMBEDDER": "none",
            "TRIALOGUE_SHUTDOWN_GRACE_SECONDS": "5",
            **{f"TRIALOGUE_{name.upper()}": value for name, value in settings.items()},
        }
        words = [*AS_SERVICE, TRIALOGUE, "serve", "--port", str(self.port)]
        with self._log.open("ab") as log:
            return subprocess.Popen(words, stdout=log, stderr=log, env=environment, cwd="/", start_new_session=True)

    def start(self, **settings: str) -> float:
        """Start it; the seconds after which it served."""
        self.process = self._open(**settings)
        return until(self._lives, STARTS)

    def _lives(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"node {self.host.name} ended with {self.process.returncode}:\n{self.log()}")
        try:
            return self.ask("GET", "/healthz")[0] == 200
        except OSError:
            return False

    def refusal(self, **settings: str) -> str:
        """What it says that does not start."""
        before = len(self._log.read_bytes()) if self._log.exists() else 0
        process = self._open(**settings)
        assert process.wait(STARTS) != 0
        return self._log.read_bytes()[before:].decode()

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(60)

    def stop(self, seconds: float) -> None:
        """Have it stop, which it must within ``seconds``."""
        self.ask_to_stop()
        self.ended(seconds)

    def ask_to_stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def ended(self, seconds: float) -> None:
        """Wait for its end."""
        assert self.process is not None
        self.process.wait(seconds)

    def log(self) -> str:
        """The end of what it has said."""
        return self._log.read_text()[-4000:]

    # --- its client ----------------------------------------------------------------------------------------------

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, timeout: float = 120, **headers: str
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        """An answer: its status, its body and its headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items() if value}
            connection.request(method, path, body, {"cookie": Node.cookie, **named})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()

    def call(self, method: str, path: str, body: object = None) -> Any:
        """What JSON says to JSON. It must succeed."""
        data = None if body is None else json.dumps(body).encode()
        status, said, _ = self.ask(method, path, data, content_type="application/json")
        assert status < 300, f"{method} {path} answered {status}: {said[:500]!r}"
        return json.loads(said or b"null")

    def register(self) -> None:
        """Make an account, for every node."""
        body = json.dumps({"email": "a@b.org", "password": "correct horse", "name": "A"}).encode()
        status, said, headers = self.ask("POST", "/api/auth/register", body, content_type="application/json")
        assert status == 201, said
        Node.cookie = str(headers["set-cookie"]).partition(";")[0]

    def upload(self, content: bytes, name: str = "a.bin", timeout: float = 120) -> tuple[int, Any]:
        """Upload a file: the status, and the file or the problem."""
        body = FORM % (name.encode(), content)
        status, said, _ = self.ask(
            "POST", "/api/upload", body, timeout=timeout, content_type="multipart/form-data; boundary=x"
        )
        found = json.loads(said)
        return status, found["files"][0] if status == 201 else found

    def fetch(self, file: str, range: str = "", if_none_match: str = "") -> tuple[int, bytes, http.client.HTTPMessage]:
        """A file's content, or what is said instead."""
        return self.ask("GET", f"/api/files/{file}", range=range, if_none_match=if_none_match)

    def check(self, name: str) -> tuple[int, bool]:
        """What ``/readyz`` answers, and whether that thing is well."""
        status, said, _ = self.ask("GET", "/readyz")
        return status, json.loads(said)["checks"][name]["ok"]

    def answers(self, text: str = "hello") -> float:
        """Have a message answered; the seconds it took."""
        name = self.call("POST", "/api/conversations", {})["id"]
        self.call("POST", f"/api/conversations/{name}/messages", {"text": text})

        def answered() -> bool:
            messages = self.call("GET", f"/api/conversations/{name}")["messages"]
            return len(messages) == 2 and messages[1]["status"] == "completed"

        return until(answered, 30)


class Sending:
    """An upload whose bytes are sent when the test wants it."""

    def __init__(self, node: Node, content: bytes) -> None:
        self._body = memoryview(FORM % (b"slow.bin", content))
        self._sent = 0
        self._socket = socket.create_connection(("127.0.0.1", node.port), timeout=180)
        head = f"POST /api/upload HTTP/1.1\r\nhost: x\r\ncookie: {Node.cookie}\r\ncontent-length: {len(self._body)}\r\n"
        self._socket.sendall(f"{head}content-type: multipart/form-data; boundary=x\r\n\r\n".encode())

    def send(self, size: int) -> None:
        """So many bytes more. They may stay in the sockets' buffers."""
        self._socket.sendall(self._body[self._sent : self._sent + size])
        self._sent += size

    def finish(self) -> tuple[int, Any]:
        """The rest, and what it is answered with: the status, and the file or the problem."""
        self._socket.sendall(self._body[self._sent :])
        answer = http.client.HTTPResponse(self._socket)
        answer.begin()
        found = json.loads(answer.read())
        self._socket.close()
        return answer.status, found["files"][0] if answer.status == 201 else found

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


class Fetching:
    """A download that the test reads when it wants; little of it is under way meanwhile."""

    def __init__(self, node: Node, file: str) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self._socket.settimeout(180)
        self._socket.connect(("127.0.0.1", node.port))
        self._socket.sendall(f"GET /api/files/{file} HTTP/1.1\r\nhost: x\r\ncookie: {Node.cookie}\r\n\r\n".encode())
        self._answer = http.client.HTTPResponse(self._socket)
        self._answer.begin()
        assert self._answer.status == 200

    def read(self, size: int) -> bytes:
        """So many bytes, or what comes before it is cut off."""
        try:
            return self._answer.read(size)
        except http.client.IncompleteRead as error:
            return error.partial
