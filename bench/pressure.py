"""What one user can do to everybody else: the largest requests there are, against a real server.

States: whatever a user asks for, no step of the loop takes more than 50 ms of CPU, and no request takes more than 64 MB of
memory. Asked of conversations of the largest messages, of one with ten thousand siblings, of bodies as deep, as wide and as
long as may be sent, and of searches for what is everywhere. The first row is what pages without a bound in bytes cost.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench import fill
from bench.client import Account, Client
from bench.plan import request
from bench.reading import UPGRADE, masked
from bench.results import Row
from bench.servers import Trialogue
from trialogue import Beginning, Conversation, Message, TextPart, new_id

NAME = "pressure"
#: The largest text that fits into a body, with what is around it.
LARGE = 1_000_000
#: Who asks at once.
READERS = 4

Attack = Callable[["Stage"], object]


class Stage(NamedTuple):
    """A server, who attacks it, and what there is to ask for."""

    server: Trialogue
    account: Account
    large: str
    wide: str

    def get(self, path: str) -> int:
        """Read an answer, and keep nothing of it; returns its status."""
        return self.send("GET", path)

    def send(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> int:
        """A request whose answer is read to its end."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
        try:
            headers = {"Cookie": self.account.cookie, "Connection": "close", "Content-Type": kind}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            while answer.read(65_536):
                pass
            return answer.status
        finally:
            connection.close()

    def snapshot(self, path: str) -> int:
        """The first event of a stream, and no more."""
        return self.hold(path, 1)

    def hold(self, path: str, count: int) -> int:
        """So many streams at once, each after its first event."""
        opened: list[http.client.HTTPConnection] = []
        status = 0
        try:
            for _ in range(count):
                connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
                opened.append(connection)
                connection.request("GET", path, headers={"Cookie": self.account.cookie, "Accept": "text/event-stream"})
                answer = connection.getresponse()
                while answer.readline() not in (b"", b"\n"):
                    pass
                status = answer.status
            return status
        finally:
            for connection in opened:
                connection.close()

    def leave_unread(self, path: str, count: int) -> int:
        """So many streams of which nothing is read."""
        opening = request("GET", path, None, {"Cookie": self.account.cookie, "Accept": "text/event-stream"})
        with ExitStack() as held:
            for _ in range(count):
                connection = held.enter_context(socket.socket())
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.connect(("127.0.0.1", self.server.port))
                connection.sendall(opening)
            time.sleep(3)
        return 0

    def follow(self, count: int) -> int:
        """So many subscriptions of one WebSocket, of which nothing is read."""
        with socket.create_connection(("127.0.0.1", self.server.port), 30) as connection:
            says = [{"type": "subscribe", "id": f"{n}", "conversation": self.large} for n in range(count)]
            connection.sendall(request("GET", "/api/ws", None, {"Cookie": self.account.cookie, **UPGRADE}))
            status = int(connection.recv(4096).split()[1])
            connection.sendall(b"".join(masked(json.dumps(one).encode()) for one in ({"type": "hello"}, *says)))
            time.sleep(3)
            return status


def together(attack: Attack) -> Attack:
    """The same by several at once."""

    def all_of_them(stage: Stage) -> object:
        with ThreadPoolExecutor(READERS) as pool:
            return [done.result() for done in [pool.submit(attack, stage) for _ in range(READERS)]]

    return all_of_them


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _posts(path: str, body: bytes) -> Attack:
    return lambda stage: stage.send("POST", path.format(stage.large), body)


def _gets(path: str) -> Attack:
    return lambda stage: stage.get(path)


def _part(number: int) -> bytes:
    return b'--b\r\ncontent-disposition: form-data; name="f"; filename="%d"\r\n\r\n\r\n' % number


#: A word that every large message has; many that none has.
SEARCHES = ("x", "+".join(f"w{n}" for n in range(40)), "%22".join("x" * 100), "*".join("ab" * 50), "%F0%9F%A6%89" * 60)

ATTACKS: dict[str, Attack] = {
    "a conversation of 1 MB messages": lambda stage: stage.get(f"/api/conversations/{stage.large}?limit=200"),
    "its messages": lambda stage: stage.get(f"/api/conversations/{stage.large}/messages?limit=200"),
    "its messages, from the root": lambda stage: stage.get(
        f"/api/conversations/{stage.large}/messages?after=&limit=200"
    ),
    "all its branches": lambda stage: stage.get(f"/api/conversations/{stage.large}?tree=true&limit=200"),
    "its stream": lambda stage: stage.snapshot(f"/api/conversations/{stage.large}/events"),
    "twelve streams of it": lambda stage: stage.hold(f"/api/conversations/{stage.large}/events", 12),
    "twelve streams of it, unread": lambda stage: stage.leave_unread(f"/api/conversations/{stage.large}/events", 12),
    "a hundred subscriptions of it": lambda stage: stage.follow(100),
    "its export": lambda stage: stage.get(f"/api/conversations/{stage.large}/export"),
    "its export for people": lambda stage: stage.get(f"/api/conversations/{stage.large}/export?format=markdown"),
    "a fork of it": _posts("/api/conversations/{}/fork", b"{}"),
    "one more such message": _posts(
        "/api/conversations/{}/messages", _json({"text": "y " * 500_000, "respond": False})
    ),
    "ten thousand siblings": lambda stage: stage.get(f"/api/conversations/{stage.wide}?tree=true&limit=200"),
    "a list of 1 MB headers": lambda stage: stage.get("/api/conversations?limit=200"),
    "the list's stream": lambda stage: stage.snapshot("/api/events?limit=100"),
    "nested JSON": _posts("/api/conversations", b'{"metadata":{"a":' + b"[" * 500_000 + b"]" * 500_000 + b"}}"),
    "wide JSON": _posts("/api/conversations", _json({"metadata": {f"{n:x}": n for n in range(60_000)}})),
    "many parts": _posts(
        "/api/conversations/{}/messages", _json({"parts": [{"type": "text", "text": ""}] * 30_000, "respond": False})
    ),
    "many unknown fields": _posts("/api/conversations", _json({f"{n:x}": n for n in range(60_000)})),
    "many numbers": _posts("/api/conversations", b'{"metadata":{"a":[' + b"1," * 500_000 + b"1]}}"),
    "one long number": _posts("/api/conversations", b'{"metadata":{"a":' + b"9" * 1_000_000 + b"}}"),
    "an import of many": _posts(
        "/api/import", b'{"conversations":[' + b"{}," * 300_000 + b'{}],"format":"trialogue","version":1}'
    ),
    "many form parts": lambda stage: stage.send(
        "POST", "/api/upload", b"".join(map(_part, range(20_000))) + b"--b--\r\n", "multipart/form-data; boundary=b"
    ),
    "a wide query": lambda stage: stage.get("/api/conversations?" + "&".join(f"{n:x}" for n in range(5_000))),
    **{f"search {n}": _gets(f"/api/search?q={text}&limit=100") for n, text in enumerate(SEARCHES)},
    "a list with words": lambda stage: stage.get("/api/conversations?limit=200&q=x"),
}


def run(quick: bool = False) -> list[Row]:
    """Fill a folder, and go through all of it; once more without the bound for what it is held against."""
    large, wide = (30, 500) if quick else (200, 10_000)
    with TemporaryDirectory(prefix="trialogue-bench-") as folder:
        environment = {"OPENAI_API_KEY": "", "TRIALOGUE_DEFAULT_MODEL": "echo:echo"}
        with _set(Path(folder), environment, large, wide) as stage:
            rows = [row for name, attack in ATTACKS.items() for row in _measured(stage, name, attack)]
        environment["TRIALOGUE_PAGE_BYTES"] = str(10**12)  # As if there were none.
        with _set(Path(folder), environment, 0, 0, stage) as unbounded:
            before = _measured(unbounded, "unbounded pages", ATTACKS["its messages"], targets=("", ""))
    return [*before, *rows]


@contextmanager
def _set(
    folder: Path, environment: dict[str, str], large: int, wide: int, known: Stage | None = None
) -> Generator[Stage]:
    server = Trialogue(folder, environment, probed=True)
    try:
        server.start()
        if known is not None:
            yield known._replace(server=server)
            return
        client = server.client()
        account = client.register()
        owner = client.me(account)
        name = _say(client, account, large)
        server.figures()
        assert server.process is not None
        server.process.stop()
        (siblings,) = fill.histories(folder / "data", [_siblings(owner, wide)])
        server.start()
        yield Stage(server, account, name, siblings)
    finally:
        if server.process is not None:
            server.process.stop()


def _say(client: Client, account: Account, count: int) -> str:
    """A conversation of large messages, and as many others with large headers."""
    (name,) = client.create_conversations(account, 1)
    text = "x " * (LARGE // 2)
    for _ in range(count):
        client.must("POST", f"/api/conversations/{name}/messages", {"text": text, "respond": False}, account.cookie)
        client.must("POST", "/api/conversations", {"metadata": {"a": text}}, account.cookie)
    return name


def _siblings(owner: str, count: int) -> Beginning:
    name = new_id()
    now = datetime.now(UTC)
    header = Conversation(name, owner, now, now)
    messages = tuple(Message(new_id(), name, "user", (TextPart(f"attempt {n}"),), now) for n in range(count))
    return Beginning(header, messages)


def _measured(
    stage: Stage, name: str, attack: Attack, targets: tuple[str, str] = ("<= 50", f"<= {64 * READERS}")
) -> list[Row]:
    process = stage.server.process
    assert process is not None
    memory = Path(f"/proc/{process.pid}/status")
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # The peak begins anew.
    before = process.rss_bytes()
    stage.server.figures()
    statuses = together(attack)(stage)
    print(f"{name}: {statuses}", file=sys.stderr)
    step = stage.server.figures()["longest_step"]
    peak = next(int(line.split()[1]) * 1024 for line in memory.read_text().splitlines() if line.startswith("VmHWM"))
    return [
        Row(NAME, f"{name}, longest step", step * 1000, "ms", targets[0]),
        Row(NAME, f"{name}, memory of {READERS} at once", (peak - before) / 1e6, "MB", targets[1]),
    ]
